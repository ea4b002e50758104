//! Why a source, or something of it, cannot be read: a stable code, and a sentence in both languages.

use serde_json::{Value, json};

use crate::cap::Finding;

/// Defines the problems: code, and a sentence in both languages with a place for the detail.
macro_rules! problems {
    ($($name:ident = $code:literal $zh:literal $en:literal;)+) => {
        /// A kind of problem with a source. Codes are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each kind says itself in two languages right below")]
        pub enum ProblemCode { $($name),+ }

        impl ProblemCode {
            /// Every kind, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The stable code.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code),+ }
            }

            const fn sentences(self) -> (&'static str, &'static str) {
                match self { $(Self::$name => ($zh, $en)),+ }
            }
        }
    };
}

problems! {
    Unreachable = "T8001" "连接不上：{}" "cannot be reached: {}";
    TooSlow = "T8002" "超过 {} 秒未答完，已放弃" "did not finish its answer within {} seconds; given up";
    Status = "T8003" "回应 HTTP {}" "answers HTTP {}";
    TooLarge = "T8004" "内容超过 {} MiB，未读完" "larger than {} MiB; not read to its end";
    Broken = "T8005" "传输或压缩的内容残缺：{}" "the transfer or its compression is broken: {}";
    Redirects = "T8006" "重定向超过 {} 次" "more than {} redirects";
    Forbidden = "T8007" "不可连接的地址：{}" "an address that must not be connected to: {}";
    BadLink = "T8008" "链接无法使用：{}" "a link that cannot be used: {}";
    Unreadable = "T8009" "内容无法读懂：{}" "cannot be understood: {}";
    Integrity = "T8010" "校验值不符，未采用：{}" "the integrity value does not match; not used: {}";
    NoMethod = "T8011" "不支持此校验方法，未采用：{}" "an integrity method that is not supported; not used: {}";
    Notice = "T8012" "通知无法读懂：{}" "a notification that cannot be understood: {}";
    Broker = "T8013" "消息服务器：{}" "the broker: {}";
    File = "T8014" "文件或目录无法使用：{}" "a file or folder that cannot be used: {}";
    NotAFile = "T8015" "不是普通文件，不予读取：{}" "not a plain file; not read: {}";
    Refused = "T8016" "预警未被收下：{}" "an alert was not taken: {}";
    NoBureau = "T8017" "配置中没有它所代表的单位：{}" "the bureau that it speaks as is not in config: {}";
    Store = "T8018" "存储暂不可用：{}" "the store does not answer: {}";
    CameBack = "T8019" "已因消失而结束的预警重新出现，请值班员查看：{}" "an alert that was ended by its absence is listed again; an officer should look: {}";
    Stale = "T8020" "回应比先前的旧，未据此结束任何预警" "an older answer than before; nothing is ended by it{}";
    Setup = "T8021" "无法按配置建立连接：{}" "cannot be set up as configured: {}";
    StillOpen = "T8022" "已不在列表中，但未能结束，请值班员查看：{}" "no longer listed, but could not be ended; an officer should look: {}";
    Denied = "T8023" "无权读取此文件：{}" "a file that Tocsin is not permitted to read: {}";
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}: {}", code.as_str(), self.en())]
pub struct Problem {
    /// Which kind.
    pub code: ProblemCode,
    /// What exactly, cut to 200 characters.
    pub detail: String,
    /// The same in Chinese, where it is words.
    pub detail_zh: Option<String>,
    /// What the reader found, where it was a message.
    pub findings: Vec<Finding>,
    /// The source wants to be left alone for so long, seconds.
    pub wait: Option<u64>,
}

impl Problem {
    /// A problem.
    pub fn new(code: ProblemCode, detail: impl std::fmt::Display) -> Self {
        Self { code, detail: cut(&detail.to_string()), detail_zh: None, findings: Vec::new(), wait: None }
    }

    /// A problem whose detail is words, in both languages.
    pub(crate) fn in_words(code: ProblemCode, zh: &str, en: &str, findings: Vec<Finding>) -> Self {
        Self { detail_zh: Some(cut(zh)), findings, ..Self::new(code, en) }
    }

    /// The sentence in Chinese.
    pub fn zh(&self) -> String {
        self.code.sentences().0.replace("{}", self.detail_zh.as_ref().unwrap_or(&self.detail))
    }

    /// The sentence in English.
    pub fn en(&self) -> String {
        self.code.sentences().1.replace("{}", &self.detail)
    }

    /// As it is kept and shown.
    pub(crate) fn json(&self) -> Value {
        json!({"code": self.code.as_str(), "zh": self.zh(), "en": self.en(), "findings": self.findings})
    }
}

fn cut(detail: &str) -> String {
    detail.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_every_sentence_says_its_detail_in_both_languages() {
        let codes: std::collections::BTreeSet<_> = ProblemCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), ProblemCode::ALL.len());
        for code in ProblemCode::ALL {
            let problem = Problem::new(*code, "a\u{0}b");
            assert!(!problem.zh().is_empty() && !problem.en().contains('\u{0}'));
        }
    }
}
