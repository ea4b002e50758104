//! Why a rule held, in the reader's language. What was judged is on record in the rule set's own words.

use crate::cap::{Colour, Hazard};
use crate::messages::Language;
use crate::web::words::Words;

/// What conditions are called in the rule set, and in Chinese.
const NAMES: [(&str, &str); 15] = [
    ("hazard", "灾种"),
    ("colour", "级别"),
    ("severity", "严重程度"),
    ("urgency", "紧迫程度"),
    ("certainty", "确定程度"),
    ("status", "状态"),
    ("msg_type", "消息种类"),
    ("scope", "范围"),
    ("category", "类别"),
    ("event", "事件"),
    ("sender", "发布单位"),
    ("region", "地区"),
    ("sea_area", "海区"),
    ("onset_within", "距开始不超过"),
    ("onset_after", "距开始超过"),
];

/// A line of a rule's why.
pub(super) fn line(line: &str, words: Words) -> String {
    let text = line.trim_start_matches([' ', '✓', '✗']);
    if words.language != Language::Chinese || text.is_empty() {
        return line.to_owned();
    }
    let mark = line.strip_suffix(text).unwrap_or_default();
    let said = match text {
        "all of" => "以下全部成立".to_owned(),
        "any of" => "以下至少一项成立".to_owned(),
        "not" => "以下不成立".to_owned(),
        _ => match text.split_once(": found ") {
            Some((asked, found)) => format!("{}：实为{}", condition(asked), values(found)),
            None => text.to_owned(),
        },
    };
    format!("{mark}{said}")
}

/// `hazard in typhoon, rainstorm`, or `onset_within 2h`.
fn condition(asked: &str) -> String {
    let (name, rest) = asked.split_once(' ').unwrap_or((asked, ""));
    let called = NAMES.iter().find(|(word, _)| *word == name).map(|(_, chinese)| *chinese);
    match (called, rest.strip_prefix("in ")) {
        (Some(called), Some(list)) => format!("{called}为{}之一", values(list)),
        (Some(called), None) => format!("{called}{}", values(rest)),
        (None, _) => asked.replace("parameter ", "参数 "),
    }
}

fn values(list: &str) -> String {
    let value = |word: &str| match word {
        "none" | "none of them" => "无".to_owned(),
        _ => {
            let hazard = Hazard::from_slug(word).map(Hazard::name_zh);
            let colour = Colour::ALL.into_iter().find(|colour| colour.as_str() == word).map(Colour::name_zh);
            hazard.or(colour).unwrap_or(word).to_owned()
        }
    };
    list.split(", ").map(value).collect::<Vec<_>>().join("、")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_is_told_in_the_readers_language() {
        let asked = [
            ("✓ all of", "✓ 以下全部成立"),
            ("  ✗ not", "  ✗ 以下不成立"),
            ("  ✓ hazard in typhoon, rainstorm: found typhoon", "  ✓ 灾种为台风、暴雨之一：实为台风"),
            ("  ✗ colour in red: found none", "  ✗ 级别为红色之一：实为无"),
        ];
        for (english, chinese) in asked {
            assert_eq!(line(english, Words::from(Language::Chinese)), chinese);
            assert_eq!(line(english, Words::from(Language::English)), english);
        }
    }
}
