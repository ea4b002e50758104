//! What the reader has to say about a message: numbered findings with their source, in Chinese and English.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gravity {
    /// Worth knowing; the verdict stays.
    Note,
    /// Something is off; the message is taken.
    Remark,
    /// The message cannot be understood or trusted.
    Error,
}

/// Defines the findings: number, gravity, source, and a sentence in both languages with a place for the detail.
macro_rules! findings {
    ($($(#[$meta:meta])* $name:ident = $number:literal $gravity:ident $source:literal $zh:literal $en:literal;)+) => {
        /// A kind of finding. Numbers are stable: 1xxx XML, 2xxx CAP, 3xxx feeds and envelopes, 4xxx intake.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "each kind says itself in two languages right below")]
        pub enum Code { $($(#[$meta])* $name),+ }

        impl Code {
            /// Every kind, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The stable number, written `T2003`.
            pub const fn number(self) -> u16 {
                match self { $(Self::$name => $number),+ }
            }

            /// How much it matters.
            pub const fn gravity(self) -> Gravity {
                match self { $(Self::$name => Gravity::$gravity),+ }
            }

            /// The rule's source.
            pub const fn source(self) -> &'static str {
                match self { $(Self::$name => $source),+ }
            }

            const fn sentences(self) -> (&'static str, &'static str) {
                match self { $(Self::$name => ($zh, $en)),+ }
            }
        }
    };
}

findings! {
    NotXml = 1001 Error "XML 1.0" "不是完整的 XML：{}" "not well-formed XML: {}";
    TooLarge = 1002 Error "Tocsin limits" "超出可读取的限度：{}" "beyond what is read: {}";
    Doctype = 1003 Error "Tocsin safety" "含有文档类型声明（DOCTYPE），为防实体炸弹一律不收" "holds a DOCTYPE; none is taken, against entity bombs";
    Entity = 1004 Error "XML 1.0 §4.6" "含有未定义的实体 {}" "holds an undefined entity: {}";
    Encoding = 1005 Error "XML 1.0 §4.3.3" "无法按所声明的编码读取：{}" "cannot be read in its encoding: {}";
    Repaired = 1006 Remark "XML 1.0 §4.3.3" "文字与所声明的编码不符，已尽量还原" "bytes are not in the encoding they claim; read as well as could be";
    NotJson = 1011 Error "RFC 8259" "不是可读取的 JSON：{}" "not JSON that can be read: {}";
    NotCap = 1012 Error "CAP 1.2 §3.2" "根元素是 {}，不是 CAP 预警、订阅源或 EDXL 信封" "the root element is {}, neither a CAP alert nor a feed nor an EDXL envelope";
    ForeignJson = 1013 Note "JSON of other services" "以其他服务的 JSON 形式书写（{}），已转为 CAP" "written in another service's JSON ({}), put into CAP";
    TitleDecides = 1014 Remark "JSON of other services" "标题与所附编码不符，以标题为准：{}" "the title and the codes disagree; the title holds: {}";
    NotOne = 1015 Error "JSON of other services" "此处应为一条预警，却有 {} 条；列表可提交或设为来源，一次最多 500 条" "one alert is read here, and here are {}: a list may be submitted or set up as a source, 500 at most at once";
    NotBare = 1016 Error "CAP 1.2 §3.2" "此处应为一条预警，根元素却是 {}（订阅源或信封）：请把其中的预警逐条提交，或将其设为来源，由本系统读取" "one alert is read here, and the root element is {}, a feed or an envelope: submit each alert in it by itself, or have it set up as a source that is fetched";

    Namespace = 2001 Remark "CAP 1.2 §3.3.1" "命名空间不是 CAP 的：{}" "the namespace is not CAP's: {}";
    OldVersion = 2002 Note "CAP 1.2" "以 CAP {} 书写" "written in CAP {}";
    Missing = 2003 Error "CAP 1.2 §3.2.1" "缺少必需的元素 {}" "the required element {} is missing";
    BadTime = 2004 Error "CAP 1.2 §3.3.2" "时间无法读懂：{}" "the time cannot be read: {}";
    BadWord = 2005 Error "CAP 1.2 §3.2" "不是标准允许的取值：{}" "not a value that the standard allows: {}";
    Unsuitable = 2006 Remark "CAP 1.2 §3.2.1" "标识、发布者不应含空格、逗号、< 或 &：{}" "identifier and sender should hold no space, comma, < or &: {}";
    MissingPart = 2007 Remark "CAP 1.2 §3.2" "缺少元素 {}" "the element {} is missing";
    BadPartTime = 2008 Remark "CAP 1.2 §3.3.2" "时间无法读懂，已略去：{}" "the time cannot be read and is left out: {}";
    LooseTime = 2009 Remark "CAP 1.2 §3.3.2" "时间应写作 YYYY-MM-DDThh:mm:ss+08:00 这样带时差的形式：{}" "a time should be written like YYYY-MM-DDThh:mm:ss+08:00, with its offset: {}";
    NoOffset = 2010 Remark "CAP 1.2 §3.3.2" "时间没有时差，按北京时间理解：{}" "the time has no offset; taken as Beijing time: {}";
    LooseWord = 2011 Remark "CAP 1.2 §3.2" "取值的写法与标准不同，已按标准理解：{}" "the value is not written as the standard does; read as meant: {}";
    UnknownWord = 2012 Remark "CAP 1.2 §3.2" "不认识的取值，按“未知”处理：{}" "not a known value; treated as unknown: {}";
    Order = 2013 Remark "CAP 1.2 schema" "元素次序与标准不同：{}" "elements are not in the standard's order: {}";
    Repeated = 2014 Remark "CAP 1.2 §3.2" "元素只应出现一次，取第一个：{}" "the element may stand once; the first is taken: {}";
    Unknown = 2015 Note "CAP 1.2 §3.2" "标准中没有的元素，原样保留：{}" "an element that CAP does not name, kept as it is: {}";
    Signed = 2016 Note "CAP 1.2 §3.3.4.1" "带有数字签名，尚未核验" "is signed; the signature was not verified";
    BadReference = 2017 Remark "CAP 1.2 §3.2.1" "引用应为“发布者,标识,时间”，无法读懂：{}" "a reference is sender,identifier,sent; this cannot be read: {}";
    NoReferences = 2018 Remark "CAP 1.2 §3.2.1" "更新或解除没有引用原预警" "an Update or Cancel that references no earlier alert";
    SelfReference = 2019 Remark "CAP 1.2 §3.2.1" "预警引用了它自己" "the alert references itself";
    FutureReference = 2020 Remark "CAP 1.2 §3.2.1" "所引用的预警晚于本预警：{}" "references an alert later than itself: {}";
    RestrictionMissing = 2021 Remark "CAP 1.2 §3.2.1" "范围为 Restricted 却没有写明限制" "scope Restricted without a restriction";
    RestrictionIdle = 2022 Remark "CAP 1.2 §3.2.1" "写了限制，而范围不是 Restricted" "a restriction although the scope is not Restricted";
    AddressesMissing = 2023 Remark "CAP 1.2 §3.2.1" "范围为 Private 却没有收件人" "scope Private without addresses";
    NoInfo = 2024 Remark "CAP 1.2 §3.2.2" "没有 info，读者得不到任何内容" "no info: readers learn nothing";
    NoArea = 2025 Remark "CAP 1.2 §3.2.4" "没有 area，不知影响何处" "no area: nobody knows where";
    EmptyArea = 2026 Note "CAP 1.2 §3.2.4" "区域只有文字，没有多边形、圆或编码" "the area is words only, without polygon, circle or code";
    BadPolygon = 2027 Remark "CAP 1.2 §3.2.4" "多边形无法读懂，已略去：{}" "the polygon cannot be read and is left out: {}";
    OpenPolygon = 2028 Remark "CAP 1.2 §3.2.4" "多边形首尾不相接，已接上" "the polygon is not closed; closed here";
    CrossedPolygon = 2029 Remark "CAP 1.2 §3.2.4" "多边形自相交" "the polygon crosses itself";
    BadCircle = 2030 Remark "CAP 1.2 §3.2.4" "圆无法读懂，已略去：{}" "the circle cannot be read and is left out: {}";
    ZeroCircle = 2031 Note "Google profile" "圆的半径为零，按一点理解" "the circle has no radius; read as a point";
    BadPair = 2032 Remark "CAP 1.2 §3.2" "名称与取值须成对且不为空：{}" "a valueName and value pair is incomplete: {}";
    BadNumber = 2033 Remark "CAP 1.2 §3.2" "不是数字，已略去：{}" "not a number, left out: {}";
    Ceiling = 2034 Remark "CAP 1.2 §3.2.4" "有上限高度而没有下限，或上限低于下限" "a ceiling without an altitude, or below it";
    EndsBeforeItBegins = 2035 Remark "CAP 1.2 §3.2.2" "结束时间早于发布或生效时间" "it expires before it was sent or takes effect";
    NoExpires = 2036 Note "WMO-No. 1109" "没有结束时间" "it has no expires";
    Html = 2037 Remark "CAP 1.2 §3.2.2" "文字中含有 HTML 标记：{}" "the text holds HTML: {}";
    LongHeadline = 2038 Note "Google profile" "标题超过 160 个字符" "the headline is longer than 160 characters";
    MimeType = 2039 Remark "CAP 1.2 §3.2.3" "资源没有 mimeType" "a resource without mimeType";
    XmlInText = 2040 Remark "CAP 1.2 §3.2" "文字元素中夹有子元素，取其文字：{}" "an element of text holds elements; their text is taken: {}";
    Language = 2041 Remark "RFC 5646" "语言标记写法不对：{}" "not a language tag: {}";
    DifferentEvents = 2042 Note "CAP profiles" "各 info 的事件代码不同" "the infos have different event codes";
    Points = 2043 Error "Tocsin limits" "坐标点太多：{}" "too many points: {}";
    LoosePolygon = 2044 Remark "CAP 1.2 §3.2.4" "多边形各点之间应只用空格" "only spaces belong between the points of a polygon";
    UtcSign = 2046 Note "CAP 1.2 §3.3.2" "世界协调时应写作 -00:00：{}" "UTC is written -00:00: {}";
    ExerciseNote = 2047 Note "CAP 1.2 §3.2.1" "演练应在 note 中写明参加者" "an Exercise should say in its note who takes part";
    ErrorNote = 2048 Remark "CAP 1.2 §3.2.1" "Error 应在 note 中写明原因" "an Error should say why in its note";
    SameWords = 2049 Remark "google/cap-library" "两种语言的 info 文字完全相同" "two infos in different languages say the same words";
    DifferentCategories = 2050 Note "CAP profiles" "各 info 的类别不同" "the infos have different categories";
    BelowSea = 2051 Note "CAP 1.2 §3.2.4" "高度为负" "an altitude below the sea";
    BadMimeType = 2052 Remark "RFC 2046" "mimeType 应写作 类型/子类型：{}" "a mimeType is written type/subtype: {}";
    RelativeUri = 2053 Remark "CAP 1.2 §3.2.3" "没有 derefUri 时，uri 须为完整地址：{}" "without a derefUri, a uri is a full address: {}";
    BadDerefUri = 2054 Remark "CAP 1.2 §3.2.3" "derefUri 不是 base64" "the derefUri is not base64";
    BadDigest = 2055 Remark "CAP 1.2 §3.2.3" "digest 应为 40 位十六进制的 SHA-1：{}" "a digest is a SHA-1 in 40 hex digits: {}";
    ContentDiffers = 2056 Remark "CAP 1.2 §3.2.3" "size 或 digest 与 derefUri 的内容不符：{}" "size or digest do not belong to what the derefUri holds: {}";
    ManyNamed = 2057 Remark "Tocsin limits" "引用的预警或事件名称太多，只取最新或最前的 500 个，略去 {} 个" "too many alerts or incidents are named: the newest or first 500 are taken, {} are not";
    DateLine = 2058 Note "CAP 1.2 §3.2.4" "多边形跨越 180° 经线，按较短一侧理解" "the polygon crosses the 180th meridian; read the short way round";
    LineBreak = 2059 Note "Tocsin safety" "单行文字中有换行" "a line break in a text of one line";
    TemplateMarks = 2060 Note "Tocsin safety" "文字中有模板标记，按原文保留：{}" "the text holds a template's marks, kept as text: {}";
    Shapes = 2045 Error "Tocsin limits" "多边形和圆太多：{}" "too many polygons and circles: {}";

    ProfileElement = 2101 Remark "profile" "规范要求有 {}" "the profile requires {}";
    ProfileCode = 2102 Remark "profile" "缺少规范的 code：{}" "no code of the profile: {}";
    ProfileGeocode = 2103 Remark "profile" "区域没有规范要求的编码：{}" "the area has no code that the profile wants: {}";
    ProfileEventCode = 2104 Remark "profile" "没有规范要求的事件代码：{}" "no event code that the profile wants: {}";
    TooLong = 2105 Remark "profile" "超过规范允许的长度：{}" "longer than the profile allows: {}";
    SameText = 2106 Remark "profile" "不应与 {} 的文字相同" "should not be the same text as {}";
    UnknownGrade = 2107 Remark "profile" "不宜为 Unknown" "should not be Unknown";
    FineCoordinates = 2108 Remark "profile" "坐标的小数位太多：{}" "more decimals than the profile allows: {}";
    EffectiveOnCancel = 2109 Remark "profile" "解除不应有 effective" "a Cancel has no effective";
    ProfileLanguage = 2110 Remark "profile" "缺少语言 {} 的 info" "no info in the language {}";
    LongAllClear = 2111 Remark "profile" "解除后应尽快结束，不超过 {} 小时" "an all-clear ends soon: within {} hours";
    ProfileIdentifier = 2112 Remark "profile" "标识的写法与规范不同：{}" "the identifier is not written as the profile says: {}";
    OasisTerms = 2113 Remark "OASIS Event Terms List 1.2" "事件术语的 valueName 应为 OET:v1.2，而不是 {}" "the valueName of event terms is OET:v1.2, not {}";
    ProfileParameter = 2114 Remark "profile" "缺少参数 {}" "the parameter {} is missing";
    Ignored = 2115 Note "profile" "规范不读取 {}" "the profile does not read {}";
    ProfileFlag = 2116 Remark "profile" "参数的用法与规范不同：{}" "a parameter is not used as the profile says: {}";
    Layers = 2117 Note "profile" "含有由他方定义的附加层：{}" "it carries layers that others define: {}";

    ColourDisagrees = 2201 Remark "GB/T 35965" "标题中的颜色与 severity 不符，以标题为准：{}" "the title's colour and the severity disagree; the title counts: {}";
    EventDisagrees = 2202 Remark "GB/T 35965" "事件代码与文字不符，以文字为准：{}" "the event code and the words disagree; the words count: {}";
    ListNumbering = 2203 Note "GB/T 35965" "事件代码用的是新闻服务的编号，已按文字理解：{}" "the event code is a news service's number; read by the words: {}";
    NotNationalId = 2204 Remark "GB/T 35965" "标识应为 ZZZZZZDDDUUUXX_YYYYMMDDhhmmss_N：{}" "an identifier is ZZZZZZDDDUUUXX_YYYYMMDDhhmmss_N: {}";
    NotBeijing = 2205 Remark "GB/T 35965" "时间应为北京时间（+08:00）：{}" "times are in Beijing time, +08:00: {}";
    NoColour = 2206 Remark "GB/T 35965" "标题、参数和代码中都没有颜色" "neither title, parameter nor code names a colour";

    Unsigned = 2301 Remark "CAP 1.2 §3.3.4.1" "没有数字签名" "is not signed";
    SignatureForm = 2302 Remark "CAP 1.2 §3.3.4.1, XML-DSig" "签名的形式不可信：{}" "the signature's form cannot be trusted: {}";
    SignatureWeak = 2303 Remark "XML-DSig" "签名的算法不被接受：{}" "the signature's algorithm is not taken: {}";
    SignatureWrong = 2304 Remark "XML-DSig" "用贵单位登记的密钥核验不符：内容被改动，或由他人签名（{}）" "does not verify with any key of the bureau: it was changed, or signed by somebody else ({})";
    SignatureKeyOut = 2305 Remark "RFC 5280" "登记的证书不在有效期内：{}" "the registered certificate is not valid at this time: {}";
    SignatureGood = 2306 Note "XML-DSig" "数字签名核验无误" "is signed, and the signature holds";

    Feed = 3001 Note "RFC 4287, RSS 2.0" "是订阅源，共 {} 条，预警须循链接取得" "a feed of {} entries; the alerts lie behind its links";
    Inline = 3002 Note "NWS, IPAWS feeds" "{} 条直接写有 CAP 元素" "{} entries carry CAP elements themselves";
    Envelope = 3003 Note "EDXL-DE 1.0" "是信封，内含 {} 条预警" "an envelope with {} alerts inside";
    BadEntry = 3004 Remark "RFC 4287 §4.1.2" "条目缺少 {}" "an entry lacks {}";
    EmptyEnvelope = 3005 Remark "EDXL-DE 1.0" "信封里没有预警" "an envelope without an alert";
    LongFeed = 3006 Remark "Tocsin limits" "订阅源太长，只读最新的条目，未读 {} 条" "the feed is too long: the newest entries are read, {} are not";
    NoWay = 3007 Remark "RFC 4287 §4.1.2" "条目既无内容也无可循的链接：{}" "an entry with neither content nor a link to follow: {}";

    NothingReplaced = 4102 Remark "CAP 1.2 §3.2.1" "所引用的预警不在记录中：没有可更新或解除的内容" "it references no alert on record: there is nothing to update or cancel";
    Late = 4110 Remark "CAP 1.2 §3.2.1" "同一事件已有更新的消息 {}，本条只存档，不发布" "something newer of its event is on record ({}): it is kept, and goes to nobody";
    Forked = 4111 Remark "CAP 1.2 §3.2.1" "同一预警已另有更新 {}，以较晚发布者为准" "another message, {}, takes the same one's place: the one sent later counts";
    Dangling = 4112 Remark "CAP 1.2 §3.2.1" "所引用的预警不在记录中：{}" "it references what is not on record: {}";
    Circular = 4113 Remark "CAP 1.2 §3.2.1" "与 {} 互相引用，以较晚发布者为准" "it and {} reference each other: the one sent later counts";
    ReferencesEnded = 4114 Note "CAP 1.2 §3.2.1" "所引用的预警 {} 已经结束" "it references {}, which is over already";
    SameIncident = 4115 Note "CAP 1.2 §3.2.1" "没有引用，按事件名称接在 {} 之后" "it references nothing; by its incident it follows {}";
    Likeness = 4116 Remark "CAP 1.2 §3.2.1" "没有引用，按发布者、灾种和区域接在 {} 之后" "it references nothing; by sender, danger and area it follows {}";
    Several = 4117 Remark "CAP 1.2 §3.2.1" "没有引用，而可能所指的预警不止一条或区域不符，均维持原状：{}" "it references nothing, and what it may mean is several or of another area; all of them stand: {}";
    Split = 4118 Remark "CAP 1.2 §3.2.1" "与 {} 源于同一预警而区域不同，各自成为一个事件" "it and {} come of the same alert and share no county: each is an event of its own";
    Repeats = 4119 Note "Tocsin chains" "内容与 {} 相同，已通知者不再通知" "it says what {} said: who was told is not told again";
    Damaged = 4120 Remark "Tocsin chains" "前一条预警 {} 的记录有损坏：按尚可读出的记录通知曾被通知者" "the record of the older alert {} is damaged: who was told is found by what can still be read";
    Cut = 4121 Remark "the bureau's authority" "贵单位无权对 {} 发布预警：已转请当地决定" "you may not warn {}: those who may were asked";
    Old = 4122 Remark "Tocsin limits" "发布已久（{}），须由值班员过目" "was sent long ago ({}); an officer looks at it";
    Unlisted = 4123 Note "WMO-No. 1109, CAP profiles" "引用没有列出同一事件中尚未到期的 {}" "its references leave out {}, of the same event and not yet expired";
    Outlives = 4124 Remark "Tocsin chains" "没有引用；较晚发布的 {} 已到期而本条仍有效，是否已被取代不得而知，由值班员决定" "it references nothing; {}, sent later, is over while this one holds: whether it took this one's place nobody knows, so an officer decides";
    UnknownRegion = 4101 Remark "region codes" "编码 {} 不是本图的任何地区，未予通知" "the code {} names no region of the map; nobody is told by it";
}

/// One thing that the reader noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which kind.
    pub code: Code,
    /// Where: `alert/info[1]/area[2]/polygon[1]`.
    pub path: String,
    /// What exactly, cut to 120 characters.
    pub detail: String,
    /// How much it matters here: the kind's own gravity, or a profile's.
    pub gravity: Gravity,
    /// The rule's source: the kind's own, or a profile's.
    pub source: Cow<'static, str>,
}

impl Finding {
    /// A finding at a path.
    pub fn new(code: Code, path: impl Into<String>, detail: impl AsRef<str>) -> Self {
        let detail = detail.as_ref().chars().map(|c| if c.is_control() { ' ' } else { c }).take(120).collect();
        Self { code, path: path.into(), detail, gravity: code.gravity(), source: code.source().into() }
    }

    /// The same, as grave as a profile or policy says.
    #[must_use]
    pub fn as_grave_as(self, gravity: Gravity) -> Self {
        Self { gravity, ..self }
    }

    /// The sentence in Chinese.
    pub fn zh(&self) -> String {
        self.code.sentences().0.replace("{}", &self.detail)
    }

    /// The sentence in English.
    pub fn en(&self) -> String {
        self.code.sentences().1.replace("{}", &self.detail)
    }
}

impl Serialize for Finding {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut out = serializer.serialize_struct("Finding", 6)?;
        out.serialize_field("code", &format!("T{}", self.code.number()))?;
        out.serialize_field("severity", &self.gravity)?;
        out.serialize_field("path", &self.path)?;
        out.serialize_field("source", &self.source)?;
        out.serialize_field("zh", &self.zh())?;
        out.serialize_field("en", &self.en())?;
        out.end()
    }
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing is off.
    Accepted,
    /// Taken, with remarks.
    Remarks,
    /// Cannot be understood or trusted.
    Refused,
}

impl Verdict {
    /// The verdict that these findings make.
    pub fn of(findings: &[Finding]) -> Self {
        match findings.iter().map(|finding| finding.gravity).max() {
            Some(Gravity::Error) => Self::Refused,
            Some(Gravity::Remark) => Self::Remarks,
            Some(Gravity::Note) | None => Self::Accepted,
        }
    }

    /// The word in tables and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Remarks => "remarks",
            Self::Refused => "refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_every_sentence_says_its_detail_in_both_languages() {
        let numbers: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.number()).collect();
        assert_eq!(numbers.len(), Code::ALL.len());
        for code in Code::ALL {
            let (zh, en) = code.sentences();
            assert_eq!(zh.contains("{}"), en.contains("{}"), "{code:?}");
            assert!(!code.source().is_empty());
        }
    }
}
