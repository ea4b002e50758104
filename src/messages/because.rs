//! Why somebody gets a message, and how they can leave: what is theirs alone in it.

use tocsin_channels::ChannelKind;

use super::language::Language;

/// Names that a short message has room for.
const FEW: usize = 2;

/// The line that names the places that a message is about for its reader. Short ones are put behind a message where they cost nothing.
pub(crate) fn because(channel: ChannelKind, language: Language, places: &[&str]) -> String {
    let clean = |name: &&str| name.chars().filter(|c| !c.is_control()).collect::<String>();
    let names: Vec<String> = places.iter().map(clean).collect();
    let few = names.get(..FEW).unwrap_or(&names);
    let more = names.len() > few.len();
    match (channel, language) {
        (ChannelKind::Email, Language::Chinese) => format!("您收到此消息，因为您登记了：{}", names.join("、")),
        (ChannelKind::Email, Language::English) => format!("You get this because you registered: {}", names.join(", ")),
        (_, Language::Chinese) => format!("因“{}”{}", few.join("、"), if more { "等" } else { "" }),
        (_, Language::English) => format!("For \"{}\"{}", few.join(", "), if more { " and more" } else { "" }),
    }
}

/// The line of a mail that leads out.
pub(crate) fn leave_by_link(language: Language, link: &str) -> String {
    match language {
        Language::Chinese => format!("不再接收：{link}"),
        Language::English => format!("No more of these: {link}"),
    }
}

/// How a short message is answered to end them, in as few characters as are understood.
pub(crate) fn leave_by_answer(language: Language) -> &'static str {
    match language {
        Language::Chinese => "退订回TD",
        Language::English => "STOP to end",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_whole_in_a_mail_and_short_elsewhere() {
        let three = ["家", "学\n校", "父母家"];
        let zh = |channel| because(channel, Language::Chinese, &three);
        assert_eq!(zh(ChannelKind::Email), "您收到此消息，因为您登记了：家、学校、父母家");
        assert_eq!(zh(ChannelKind::Sms), "因“家、学校”等");
        assert_eq!(because(ChannelKind::Push, Language::English, &["Home"]), "For \"Home\"");
    }
}
