//! Refusals: a stable code, a sentence in both languages, and what a machine may do about it.

use serde::Serialize;

use crate::approval::DeskError;
use crate::cap::Finding;
use crate::store::StoreError;

/// Why an alert was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalCode {
    /// It cannot be understood or trusted: see the findings.
    Unreadable,
    /// Its `sent` lies ahead.
    FromTheFuture,
    /// No area of it lies on the map.
    Nowhere,
    /// A region that the bureau does not speak for.
    RegionNotYours,
    /// A danger that the bureau does not speak of.
    HazardNotYours,
    /// A level that the bureau may not warn of.
    LevelNotYours,
    /// It is not what the profiles agreed on ask for.
    Profile,
    /// It is not signed as it must be.
    Signature,
    /// It references another bureau's alert.
    ForeignReference,
    /// A drill references a real alert, or the other way round.
    OtherWorld,
    /// Its sender, identifier and time belong to another message already.
    IdTaken,
    /// Its messages cannot be made.
    Messages,
    /// Too much of its bureau waits already.
    Busy,
    /// The store is full.
    StoreFull,
    /// The store does not work.
    Store,
}

impl RefusalCode {
    /// The stable code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "T4001",
            Self::FromTheFuture => "T4002",
            Self::Nowhere => "T4003",
            Self::RegionNotYours => "T4004",
            Self::HazardNotYours => "T4005",
            Self::ForeignReference => "T4006",
            Self::OtherWorld => "T4007",
            Self::IdTaken => "T4011",
            Self::LevelNotYours => "T4021",
            Self::Profile => "T4022",
            Self::Signature => "T4023",
            Self::Busy => "T4024",
            Self::Messages => "T4008",
            Self::StoreFull => "T4009",
            Self::Store => "T4010",
        }
    }

    /// The HTTP status that says the same.
    pub const fn status(self) -> u16 {
        match self {
            Self::Unreadable | Self::FromTheFuture | Self::Nowhere | Self::OtherWorld | Self::Profile => 422,
            Self::RegionNotYours | Self::HazardNotYours | Self::LevelNotYours => 403,
            Self::ForeignReference | Self::Signature => 403,
            Self::IdTaken => 409,
            Self::Messages => 500,
            Self::StoreFull => 507,
            Self::Busy | Self::Store => 503,
        }
    }

    /// The reason in Chinese and English.
    pub const fn sentences(self) -> (&'static str, &'static str) {
        match self {
            Self::Unreadable => {
                ("无法读懂或信任此预警，见各条说明", "the alert cannot be understood or trusted; see the findings")
            }
            Self::FromTheFuture => {
                ("发布时间在未来，请校准时钟后重发", "its `sent` lies in the future; set your clock and send it again")
            }
            Self::Nowhere => ("预警区域不在本图范围内", "no area of the alert lies on the map"),
            Self::RegionNotYours => ("贵单位无权对该地区发布预警", "you may not warn this region"),
            Self::HazardNotYours => ("贵单位无权发布此类预警", "you may not warn of this danger"),
            Self::LevelNotYours => (
                "贵单位无权发布此级别的预警，或预警未写明级别",
                "you may not warn at this level, or the alert names no level",
            ),
            Self::Profile => (
                "预警不符合与贵单位约定的规范，见各条说明",
                "the alert is not what the profile agreed on with you asks for; see the findings",
            ),
            Self::Signature => (
                "预警的数字签名缺失或核验不符，见各条说明",
                "the alert's signature is missing or does not hold; see the findings",
            ),
            Self::ForeignReference => (
                "引用了其他单位的预警，不可更新或解除",
                "it references another bureau's alert, which only that bureau may update or cancel",
            ),
            Self::OtherWorld => {
                ("演练与实战不可互相引用", "a drill must not reference a real alert, nor the other way round")
            }
            Self::IdTaken => (
                "发布者、标识、时间已属于另一条内容不同的预警，请换新标识重发",
                "its sender, identifier and time belong to another message already; send it under a new identifier",
            ),
            Self::Messages => (
                "消息无法生成，已告知运维，请勿放弃：稍后重发",
                "its messages cannot be made; the operator knows: send it again later",
            ),
            Self::Busy => (
                "贵单位需要较长时间处理的预警太多，此条未收下，请稍后重发",
                "too many of your alerts that take a moment to understand are waiting; this one was not taken: send it again later",
            ),
            Self::StoreFull => {
                ("存储已满，预警未收下，请稍后重发", "the store is full; the alert was not taken: send it again later")
            }
            Self::Store => (
                "存储暂不可用，预警未收下，请稍后重发",
                "the store does not answer; the alert was not taken: send it again later",
            ),
        }
    }
}

/// An alert that was not taken.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{} {}: {detail}", code.as_str(), code.sentences().1)]
pub struct Refusal {
    /// Why.
    pub code: RefusalCode,
    /// What exactly.
    pub detail: String,
    /// What the reader found.
    pub findings: Vec<Finding>,
}

impl Refusal {
    pub(super) fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), findings: Vec::new() }
    }

    pub(super) fn with_findings(code: RefusalCode, detail: &str, findings: Vec<Finding>) -> Self {
        Self { code, detail: detail.into(), findings }
    }
}

impl Serialize for Refusal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let (zh, en) = self.code.sentences();
        let mut out = serializer.serialize_struct("Refusal", 5)?;
        out.serialize_field("code", self.code.as_str())?;
        out.serialize_field("zh", zh)?;
        out.serialize_field("en", en)?;
        out.serialize_field("detail", &self.detail)?;
        out.serialize_field("findings", &self.findings)?;
        out.end()
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let code = if matches!(error, StoreError::Full) { RefusalCode::StoreFull } else { RefusalCode::Store };
        tracing::error!(%error, "an alert could not be recorded");
        Self::new(code, "")
    }
}

impl From<DeskError> for Refusal {
    fn from(error: DeskError) -> Self {
        if let DeskError::Store(error) = error {
            return error.into();
        }
        tracing::error!(%error, "an alert's messages could not be made");
        Self::new(RefusalCode::Messages, error.to_string())
    }
}
