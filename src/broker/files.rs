//! The files, each put in place whole.

use std::io::Write as _;
use std::path::Path;

/// The password file's name in the folder; it is put in place last, so that whoever waits for it finds the rights there.
const PASSWORDS: &str = "passwords";
/// The ACL file's.
const ACL: &str = "acl";
/// Lines of other accounts of the same broker, by hand: put before ours.
const LOCAL: &str = "local";

/// Whether anything was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The files say something else now: the broker must read them again.
    Changed,
    /// They said so already.
    Same,
}

/// Puts both files in place, where they are not what they should be.
///
/// # Errors
/// When the folder cannot be written.
pub fn write(folder: &Path, passwords: &str, acl: &str) -> std::io::Result<Written> {
    std::fs::create_dir_all(folder)?;
    let mut written = Written::Same;
    for (name, text) in [(ACL, acl), (PASSWORDS, passwords)] {
        // What cannot be read is no empty file: without it other accounts would be shut out.
        let local = match std::fs::read_to_string(folder.join(format!("{name}.{LOCAL}"))) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read?,
        };
        let head =
            "# Kept by tocsin; what is written here by hand is lost. Other accounts: NAME.local beside this file.\n";
        // mosquitto 2.0 takes no comments in its password file.
        let text = if name == ACL { format!("{local}\n{head}{text}") } else { joined(&local, text) };
        if std::fs::read(folder.join(name)).is_ok_and(|now| now == text.as_bytes()) {
            continue;
        }
        replace(folder, name, &text)?;
        written = Written::Changed;
    }
    Ok(written)
}

fn joined(local: &str, text: &str) -> String {
    let lines = local.lines().chain(text.lines()).filter(|line| !line.trim().is_empty());
    lines.map(|line| format!("{line}\n")).collect()
}

/// Writes a new file and moves it over the old one: the broker reads one or the other.
fn replace(folder: &Path, name: &str, text: &str) -> std::io::Result<()> {
    let new = folder.join(format!("{name}.new"));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o640);
    }
    let mut file = options.open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, folder.join(name))?;
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_accounts_that_cannot_be_read_are_not_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("passwords.local"), "port:$7$x\n").unwrap();
        write(folder.path(), "siren:$7$y", "user siren").unwrap();
        let before = std::fs::read_to_string(path(PASSWORDS)).unwrap();
        assert!(before.contains("port:") && before.contains("siren:"), "{before}");
        std::fs::write(path("passwords.local"), b"port:\xff\xfe").unwrap();
        assert!(write(folder.path(), "other:$7$z", "user other").is_err());
        assert_eq!(std::fs::read_to_string(path(PASSWORDS)).unwrap(), before, "the old file stands");
    }
}
