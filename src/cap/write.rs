//! Writes CAP 1.2 that the OASIS schema accepts.

use std::fmt::Write as _;

use chrono::{DateTime, FixedOffset};
use quick_xml::escape::escape;

use super::alert::{Alert, Area, Info, NamedValue, Point, Resource};
use super::{china, strict};

/// Why an alert cannot be written as CAP 1.2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// An element holds what CAP 1.2 does not allow there.
    #[error("CAP 1.2 does not allow this as {element}: {value}")]
    NotAllowed {
        /// The element.
        element: &'static str,
        /// What it holds, cut to 60 characters.
        value: String,
    },
    /// An element that CAP 1.2 requires is empty.
    #[error("CAP 1.2 requires {0}")]
    Missing(&'static str),
}

/// The alert in XML. China's event codes are written in the national system, and the level's colour as a parameter of its own.
/// Unknown elements and the signature are not written: a signature would no longer hold.
///
/// # Errors
/// When it holds what CAP 1.2 cannot say.
pub fn write(alert: &Alert) -> Result<String, WriteError> {
    let mut out = Out(String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\">\n",
    ));
    for (element, text) in [("identifier", &alert.identifier), ("sender", &alert.sender)] {
        if text.is_empty() {
            return Err(WriteError::Missing(element));
        }
        if text.chars().any(|c| c.is_whitespace() || matches!(c, ',' | '<' | '&')) {
            return Err(not_allowed(element, text));
        }
    }
    out.text("identifier", &alert.identifier)?;
    out.text("sender", &alert.sender)?;
    out.text("sent", &time(alert.sent))?;
    out.text("status", alert.status.as_str())?;
    out.text("msgType", alert.msg_type.as_str())?;
    out.optional("source", alert.source.as_deref())?;
    out.text("scope", alert.scope.as_str())?;
    out.optional("restriction", alert.restriction.as_deref())?;
    out.optional("addresses", quoted(&alert.addresses).as_deref())?;
    for code in &alert.codes {
        out.text("code", code)?;
    }
    out.optional("note", alert.note.as_deref())?;
    let references: Vec<_> =
        alert.references.iter().map(|r| format!("{},{},{}", r.sender, r.identifier, time(r.sent))).collect();
    out.optional("references", (!references.is_empty()).then(|| references.join(" ")).as_deref())?;
    out.optional("incidents", quoted(&alert.incidents).as_deref())?;
    for info in &alert.infos {
        write_info(&mut out, &china::written(info))?;
    }
    out.0.push_str("</alert>\n");
    Ok(out.0)
}

fn write_info(out: &mut Out, info: &Info) -> Result<(), WriteError> {
    if info.categories.is_empty() {
        return Err(WriteError::Missing("category"));
    }
    out.0.push_str("<info>\n");
    out.text("language", if strict::is_language(&info.language) { &info.language } else { "und" })?;
    for category in &info.categories {
        out.text("category", category.as_str())?;
    }
    out.text("event", &info.event)?;
    for response in &info.response_types {
        out.text("responseType", response.as_str())?;
    }
    out.text("urgency", info.urgency.as_str())?;
    out.text("severity", info.severity.as_str())?;
    out.text("certainty", info.certainty.as_str())?;
    out.optional("audience", info.audience.as_deref())?;
    out.pairs("eventCode", &info.event_codes)?;
    for (element, at) in [("effective", info.effective), ("onset", info.onset), ("expires", info.expires)] {
        out.optional(element, at.map(time).as_deref())?;
    }
    out.optional("senderName", info.sender_name.as_deref())?;
    out.optional("headline", info.headline.as_deref())?;
    out.optional("description", info.description.as_deref())?;
    out.optional("instruction", info.instruction.as_deref())?;
    out.optional("web", info.web.as_deref().and_then(uri).as_deref())?;
    out.optional("contact", info.contact.as_deref())?;
    out.pairs("parameter", &info.parameters)?;
    for resource in &info.resources {
        write_resource(out, resource)?;
    }
    for area in &info.areas {
        write_area(out, area)?;
    }
    out.0.push_str("</info>\n");
    Ok(())
}

fn write_resource(out: &mut Out, resource: &Resource) -> Result<(), WriteError> {
    out.0.push_str("<resource>\n");
    out.text("resourceDesc", &resource.description)?;
    // CAP 1.2 requires it; what a 1.1 sender did not say is unknown bytes.
    out.text("mimeType", resource.mime_type.as_deref().unwrap_or("application/octet-stream"))?;
    out.optional("size", resource.size.map(|size| size.to_string()).as_deref())?;
    out.optional("uri", resource.uri.as_deref().and_then(uri).as_deref())?;
    out.optional("derefUri", resource.deref_uri.as_deref())?;
    out.optional("digest", resource.digest.as_deref())?;
    out.0.push_str("</resource>\n");
    Ok(())
}

fn write_area(out: &mut Out, area: &Area) -> Result<(), WriteError> {
    out.0.push_str("<area>\n");
    out.text("areaDesc", &area.description)?;
    for polygon in &area.polygons {
        if polygon.ring.len() < 4 || polygon.ring.first() != polygon.ring.last() {
            return Err(not_allowed("polygon", "a ring that is not closed"));
        }
        let points: Vec<_> = polygon.ring.iter().map(position).collect::<Result<_, _>>()?;
        out.text("polygon", &points.join(" "))?;
    }
    for circle in &area.circles {
        out.text("circle", &format!("{} {}", position(&circle.center)?, circle.radius_km))?;
    }
    out.pairs("geocode", &area.geocodes)?;
    out.optional("altitude", area.altitude.map(|feet| feet.to_string()).as_deref())?;
    out.optional("ceiling", area.ceiling.map(|feet| feet.to_string()).as_deref())?;
    out.0.push_str("</area>\n");
    Ok(())
}

/// `YYYY-MM-DDThh:mm:ss+08:00`; UTC is written `-00:00` (CAP 1.2 section 3.3.2).
fn time(at: DateTime<FixedOffset>) -> String {
    let text = at.format("%Y-%m-%dT%H:%M:%S%:z").to_string();
    text.strip_suffix("+00:00").map_or(text.clone(), |head| format!("{head}-00:00"))
}

fn position(point: &Point) -> Result<String, WriteError> {
    if (-90.0..=90.0).contains(&point.lat) && (-180.0..=180.0).contains(&point.lon) {
        Ok(format!("{},{}", point.lat, point.lon))
    } else {
        Err(not_allowed("polygon", &format!("{},{}", point.lat, point.lon)))
    }
}

/// An address as XML's `anyURI`: what may not stand in one is escaped; None where it is none even then.
fn uri(text: &str) -> Option<String> {
    if strict::is_uri(text) {
        return Some(text.to_owned());
    }
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            ' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}' | '[' | ']' => {
                // Writing to a String cannot fail.
                let _ = write!(escaped, "%{:02X}", u32::from(c));
            }
            _ => escaped.push(c),
        }
    }
    strict::is_uri(&escaped).then_some(escaped)
}

fn quoted(words: &[String]) -> Option<String> {
    let quote = |word: &String| if word.contains(char::is_whitespace) { format!("\"{word}\"") } else { word.clone() };
    (!words.is_empty()).then(|| words.iter().map(quote).collect::<Vec<_>>().join(" "))
}

fn not_allowed(element: &'static str, value: &str) -> WriteError {
    WriteError::NotAllowed { element, value: value.chars().take(60).collect() }
}

struct Out(String);

impl Out {
    fn text(&mut self, element: &'static str, text: &str) -> Result<(), WriteError> {
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r')) {
            return Err(not_allowed(element, text));
        }
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "<{element}>{}</{element}>", escape(text));
        Ok(())
    }

    fn optional(&mut self, element: &'static str, text: Option<&str>) -> Result<(), WriteError> {
        text.map_or(Ok(()), |text| self.text(element, text))
    }

    fn pairs(&mut self, element: &'static str, pairs: &[NamedValue]) -> Result<(), WriteError> {
        for pair in pairs {
            let _ = writeln!(self.0, "<{element}>");
            self.text("valueName", &pair.name)?;
            self.text("value", &pair.value)?;
            let _ = writeln!(self.0, "</{element}>");
        }
        Ok(())
    }
}
