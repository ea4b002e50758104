//! Templates: from the folder or as shipped, all compiled and tried out before any is used.

use std::collections::BTreeMap;
use std::path::Path;

use minijinja::{AutoEscape, Environment, UndefinedBehavior};

use tocsin_channels::ChannelKind;

use super::facts::Facts;
use super::language::{Language, Variant};
use super::page::PageFacts;
use super::render::MessageOptions;
use crate::cap::{AlertId, Colour, Hazard, MsgType, Status};

/// Why templates are not taken, or a message cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A template is wrong, or does not work out for some alert.
    #[error("{0}")]
    Template(String),
    /// A part that every channel and language must have is missing.
    #[error("the template {0} is missing")]
    Missing(String),
    /// A message does not fit, however shortened.
    #[error("a {what} for {language} does not fit: {why}")]
    TooLong {
        /// Which message.
        what: &'static str,
        /// In which language.
        language: &'static str,
        /// By how much.
        why: String,
    },
}

impl From<minijinja::Error> for TemplateError {
    fn from(error: minijinja::Error) -> Self {
        // The alternate form names file and line, and shows the place.
        Self::Template(format!("{error:#}"))
    }
}

/// All templates.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
}

/// Steps that one template may take: a loop without end ends here.
const FUEL: u64 = 100_000;
/// Parts that every language has.
const PARTS: [&str; 12] = [
    "common/advice.txt",
    "common/description.txt",
    "sms/message.txt",
    "email/subject.txt",
    "email/body.txt",
    "email/body.html",
    "push/title.txt",
    "push/body.txt",
    "device/speech.txt",
    "page/message.txt",
    "page/subject.txt",
    "page/body.txt",
];

/// Folders that somebody's own templates may lack: calls to officers, what loudspeakers say.
const LATER: [&str; 2] = ["page", "device"];
/// A file that their folders may lack: what an officer's own warning says where nothing was typed.
const DESCRIPTION: &str = "description.txt";

/// The templates that ship with Tocsin.
macro_rules! shipped {
    ($($folder:literal $file:literal),+ $(,)?) => {
        &[$(
            (concat!($folder, "/zh-CN/", $file), include_str!(concat!("../../alert-templates/", $folder, "/zh-CN/", $file))),
            (concat!($folder, "/en/", $file), include_str!(concat!("../../alert-templates/", $folder, "/en/", $file))),
        )+]
    };
}
const SHIPPED: &[(&str, &str)] = shipped! {
    "common" "advice.txt", "common" "description.txt", "sms" "message.txt", "email" "subject.txt", "email" "body.txt", "email" "body.html",
    "push" "title.txt", "push" "body.txt", "sms" "message.earthquake.txt", "email" "body.earthquake.txt",
    "email" "body.earthquake.html", "push" "body.earthquake.txt", "device" "speech.txt", "device" "speech.earthquake.txt", "page" "message.txt", "page" "subject.txt", "page" "body.txt",
};

impl Templates {
    /// The templates that ship with Tocsin.
    ///
    /// # Errors
    /// Only if they are damaged.
    pub fn shipped() -> Result<Self, TemplateError> {
        Self::new(Self::shipped_files())
    }

    /// The templates of a folder laid out like `alert-templates`.
    ///
    /// # Errors
    /// When one is missing, broken, or does not work out; the message names file and line.
    pub fn load(folder: &Path) -> Result<Self, TemplateError> {
        Self::new(Self::files(folder)?)
    }

    /// The texts that ship with Tocsin, by their names: `sms/en/message.txt`.
    pub fn shipped_files() -> BTreeMap<String, String> {
        SHIPPED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    /// The texts of a folder, by their names.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn files(folder: &Path) -> Result<BTreeMap<String, String>, TemplateError> {
        let mut files = BTreeMap::new();
        let own = |channel: &&str| folder.join(channel).exists();
        for channel in ["common", "sms", "email", "push"].into_iter().chain(LATER.into_iter().filter(own)) {
            for language in Language::ALL {
                let below = folder.join(channel).join(language.tag());
                let read = |source| TemplateError::Read { path: below.display().to_string(), source };
                for entry in std::fs::read_dir(&below).map_err(read)? {
                    let path = entry.map_err(read)?.path();
                    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
                    if !name.ends_with(".txt") && !name.ends_with(".html") {
                        continue;
                    }
                    let text = std::fs::read_to_string(&path)
                        .map_err(|source| TemplateError::Read { path: path.display().to_string(), source })?;
                    files.insert(format!("{channel}/{}/{name}", language.tag()), text);
                }
            }
        }
        // The shipped ones, where the folder has none of its own.
        let missing: Vec<_> = LATER.into_iter().filter(|channel| !own(channel)).collect();
        for (name, text) in SHIPPED {
            let lacks = missing.iter().any(|channel| name.split('/').next() == Some(channel));
            if lacks || name.ends_with(DESCRIPTION) {
                files.entry((*name).to_owned()).or_insert_with(|| (*text).to_owned());
            }
        }
        Ok(files)
    }

    /// Templates of these texts, by their names.
    ///
    /// # Errors
    /// When one is missing, broken, or does not work out; the message names file and line.
    pub fn new(files: BTreeMap<String, String>) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(
            |name| {
                if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None }
            },
        );
        for (name, text) in files {
            environment.add_template_owned(name, text)?;
        }
        let templates = Self { environment };
        templates.try_out()?;
        Ok(templates)
    }

    /// Templates of texts that may have been written for another version of the program. What they lack is said in the shipped words,
    /// and where they do not work out, everything is; gives why not all of them, and they alone, are used.
    ///
    /// # Errors
    /// Only if the shipped ones are damaged.
    pub fn of_another_version(files: BTreeMap<String, String>) -> Result<(Self, Option<TemplateError>), TemplateError> {
        let why = match Self::new(files.clone()) {
            Ok(templates) => return Ok((templates, None)),
            Err(why) => why,
        };
        // A template for one danger, `message.earthquake.txt`, is nothing that anybody lacks.
        let plain = |(name, _): &(String, String)| name.matches('.').count() == 1;
        let mut whole: BTreeMap<_, _> = Self::shipped_files().into_iter().filter(plain).collect();
        whole.extend(files);
        Ok((Self::new(whole).or_else(|_| Self::shipped())?, Some(why)))
    }

    /// Fills a part: the rule's own template, else the hazard's, else the plain one.
    pub(super) fn fill(
        &self,
        part: &str,
        language: Language,
        names: &[&str],
        context: &minijinja::Value,
    ) -> Result<String, TemplateError> {
        let (channel, file) = part.split_once('/').unwrap_or((part, ""));
        let (stem, ending) = file.rsplit_once('.').unwrap_or((file, "txt"));
        let folder = format!("{channel}/{}", language.tag());
        let special = names
            .iter()
            .find_map(|name| self.environment.get_template(&format!("{folder}/{stem}.{name}.{ending}")).ok());
        let template = match special {
            Some(template) => template,
            None => {
                let name = format!("{folder}/{file}");
                self.environment.get_template(&name).map_err(|_| TemplateError::Missing(name))?
            }
        };
        Ok(template.render(context)?.trim().to_owned())
    }

    /// What to do first about a danger.
    ///
    /// # Errors
    /// When the template fails.
    pub fn advice(&self, hazard: Hazard, language: Language) -> Result<String, TemplateError> {
        let context = minijinja::context! { hazard => hazard.slug() };
        self.fill("common/advice.txt", language, &[hazard.slug()], &context)
    }

    /// What a danger of a level is, where whoever writes of it says nothing.
    ///
    /// # Errors
    /// When the template fails.
    pub fn description(&self, hazard: Hazard, colour: Colour, language: Language) -> Result<String, TemplateError> {
        let hazard_name = match language {
            Language::Chinese => hazard.name_zh(),
            Language::English => hazard.name_en(),
        };
        let context = minijinja::context! { hazard => hazard.slug(), hazard_name, colour => colour.as_str() };
        self.fill("common/description.txt", language, &[hazard.slug()], &context)
    }

    /// Makes every message of made-up alerts: every hazard, language and variant, with and without what may be missing.
    fn try_out(&self) -> Result<(), TemplateError> {
        for language in Language::ALL {
            for part in PARTS {
                let (channel, file) = part.split_once('/').unwrap_or_default();
                let name = format!("{channel}/{}/{file}", language.tag());
                self.environment.get_template(&name).map_err(|_| TemplateError::Missing(name))?;
            }
        }
        for language in Language::ALL {
            for channel in ChannelKind::ALL {
                self.page(channel, language, &PageFacts::default())?;
            }
            for (hazard, colour) in Hazard::ALL.iter().flat_map(|hazard| Colour::ALL.map(|colour| (*hazard, colour))) {
                self.description(hazard, colour, language)?;
            }
        }
        // Templates of rules' own names are tried out under their own name.
        let own: Vec<&str> = self
            .environment
            .templates()
            .filter_map(|(name, _)| name.rsplit('/').next()?.split('.').nth_back(1))
            .collect();
        for hazard in Hazard::ALL {
            for language in Language::ALL {
                for variant in Variant::ALL {
                    for full in [true, false] {
                        let facts = made_up(*hazard, language, full);
                        for name in
                            std::iter::once(None).chain(own.iter().copied().map(Some)).take(if full { 64 } else { 1 })
                        {
                            let link_base = if full { "https://example.org/a/".into() } else { String::new() };
                            self.render_all(
                                &facts,
                                variant,
                                name,
                                &MessageOptions { link_base, ..MessageOptions::default() },
                            )?;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// An alert that nobody sent.
fn made_up(hazard: Hazard, language: Language, full: bool) -> Facts {
    let text = |text: &str| if full { text.to_owned() } else { String::new() };
    let sent = chrono::DateTime::UNIX_EPOCH.fixed_offset();
    Facts {
        alert: AlertId::made_up(),
        event_key: String::new(),
        language,
        exercise: full,
        update: full,
        msg_type: MsgType::Alert,
        status: Status::Actual,
        issuer: "气象台".into(),
        hazard,
        colour: full.then_some(Colour::Red),
        severity: Colour::Red.severity(),
        headline: text("标题"),
        description: text("描述 <b>{{ 1 }}</b>"),
        instruction: text("须知"),
        area: text("某地"),
        places: vec!["某地".into()],
        sent,
        onset: full.then_some(sent),
        expires: full.then_some(sent),
        web: text("https://example.org/"),
        picture: full,
    }
}
