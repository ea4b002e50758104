//! What people read: templates of `alert-templates/` filled with an alert's facts, once per channel, language and variant.

mod because;
mod code;
mod device;
mod facts;
mod fit;
mod issuer;
mod language;
mod page;
mod picture;
mod render;
mod templates;

pub(crate) use because::{because, leave_by_answer, leave_by_link};
pub(crate) use code::{Personal, Reader, opens_by_link};
pub use facts::Facts;
pub use language::{Language, Variant};
pub use page::PageFacts;
pub(crate) use picture::Scene;
pub use render::MessageOptions;
pub use templates::{TemplateError, Templates};
