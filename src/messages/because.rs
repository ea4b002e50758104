//! Why somebody gets a message.

use super::language::Language;

/// The line that names the places that a message is about for its reader.
pub(crate) fn because(language: Language, places: &[&str]) -> String {
    let clean = |name: &&str| name.chars().filter(|c| !c.is_control()).collect::<String>();
    let names: Vec<String> = places.iter().map(clean).collect();
    match language {
        Language::Chinese => format!("您收到此消息，因为您登记了：{}", names.join("、")),
        Language::English => format!("You get this because you registered: {}", names.join(", ")),
    }
}
