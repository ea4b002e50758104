//! Real servers for tests, started privately on free loopback ports and stopped when dropped: mosquitto, Postfix's smtp-sink,
//! Kannel. They come with Debian; `cargo xtask test` installs what is missing.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A port that was free a moment ago.
///
/// # Errors
/// When there is none.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A running program; killed when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
}

impl Program {
    /// Starts a program, found where Debian puts it; its output goes to a file.
    ///
    /// # Errors
    /// When it is not installed, or cannot start.
    pub fn start(name: &str, arguments: &[&str], output: &Path) -> io::Result<Self> {
        let places = ["/usr/sbin", "/usr/bin", "/usr/lib/kannel/test", "/usr/local/bin"];
        let path = places.iter().map(|place| Path::new(place).join(name)).find(|path| path.exists());
        let path =
            path.ok_or_else(|| io::Error::other(format!("{name} is not installed; `cargo xtask test` says how")))?;
        let out = std::fs::File::create(output)?;
        let err = out.try_clone()?;
        let child = Command::new(path).args(arguments).stdin(Stdio::null()).stdout(out).stderr(err).spawn()?;
        Ok(Self { child })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        // One that has ended by itself is as dead.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until somebody listens there, up to a minute: browsers take their time to start.
///
/// # Errors
/// When nobody does.
pub fn wait_for(addr: SocketAddr) -> io::Result<()> {
    for _ in 0..3_000 {
        if TcpStream::connect_timeout(&addr, Duration::from_millis(200)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(io::Error::other(format!("nobody listens on {addr}")))
}

fn local(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// Postfix's smtp-sink, which writes each mail to a file.
#[derive(Debug)]
pub struct SmtpSink {
    /// Where it listens.
    pub port: u16,
    folder: PathBuf,
    _program: Program,
}

impl SmtpSink {
    /// Starts it; `folder` must be there, and anybody must be able to write to it.
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub fn start(folder: &Path) -> io::Result<Self> {
        let port = free_port()?;
        let mails = folder.join("mails");
        std::fs::create_dir_all(&mails)?;
        #[cfg(unix)]
        for path in [folder, mails.as_path()] {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777))?;
        }
        let (root, listen) = (mails.display().to_string(), format!("127.0.0.1:{port}"));
        // It does not run as root: as root it must be told whom to become.
        let unprivileged = ["-u", "nobody", "-R", &root, "-d", "%M.", &listen, "256"];
        let root_user = std::env::var("USER").is_ok_and(|user| user == "root") || is_root();
        let arguments = if root_user { unprivileged.as_slice() } else { unprivileged.get(2..).unwrap_or_default() };
        let program = Program::start("smtp-sink", arguments, &folder.join("smtp-sink.log"))?;
        wait_for(local(port))?;
        Ok(Self { port, folder: mails, _program: program })
    }

    /// The mails it got; one that it is still writing down is none yet.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn mails(&self) -> io::Result<Vec<String>> {
        let mut mails = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let mail = String::from_utf8_lossy(&std::fs::read(entry?.path())?).into_owned();
            if is_whole(&mail) {
                mails.push(mail);
            }
        }
        Ok(mails)
    }
}

/// Whether a mail's last boundary is there (RFC 2046 section 5.1.1): all of ours have parts.
fn is_whole(mail: &str) -> bool {
    let boundary = mail.split("boundary=\"").nth(1).and_then(|rest| rest.split('"').next());
    boundary.is_some_and(|boundary| mail.trim_end().ends_with(&format!("--{boundary}--")))
}

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("Uid:\t0\t"))
}

/// Mosquitto, without memory of its own: killed, it forgets what was retained.
#[derive(Debug)]
pub struct Mosquitto {
    /// Where it listens.
    pub port: u16,
    folder: PathBuf,
    program: Program,
}

impl Mosquitto {
    /// Starts it; `password` is that of the user `tocsin`, None to let anybody in.
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub fn start(folder: &Path, password: Option<&str>) -> io::Result<Self> {
        let port = free_port()?;
        let mut config = format!("listener {port} 127.0.0.1\npersistence false\n");
        if let Some(password) = password {
            let file = folder.join("passwords");
            let made =
                Command::new("mosquitto_passwd").args(["-c", "-b"]).arg(&file).args(["tocsin", password]).status()?;
            if !made.success() {
                return Err(io::Error::other("mosquitto_passwd failed"));
            }
            config.push_str(&format!("allow_anonymous false\npassword_file {}\n", file.display()));
        } else {
            config.push_str("allow_anonymous true\n");
        }
        Self::of_config(folder, port, config)
    }

    /// Starts it with the password and ACL files of a folder, `passwords` and `acl`: nobody else comes in.
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub fn with_accounts(folder: &Path, port: u16, accounts: &Path) -> io::Result<Self> {
        let (passwords, acl) = (accounts.join("passwords"), accounts.join("acl"));
        let config = format!(
            "listener {port} 127.0.0.1\npersistence false\nallow_anonymous false\npassword_file {}\nacl_file {}\n",
            passwords.display(),
            acl.display()
        );
        Self::of_config(folder, port, config)
    }

    fn of_config(folder: &Path, port: u16, mut config: String) -> io::Result<Self> {
        // As root it would become another user, who cannot read the folder.
        config.push_str("user root\n");
        std::fs::write(folder.join("mosquitto.conf"), config)?;
        let program = Self::run(folder)?;
        wait_for(local(port))?;
        Ok(Self { port, folder: folder.to_owned(), program })
    }

    /// Lets it read its password and ACL files again.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn reload(&self) -> io::Result<()> {
        let told = Command::new("kill").args(["-HUP", &self.program.id().to_string()]).status()?;
        if told.success() { Ok(()) } else { Err(io::Error::other("mosquitto was not told to read its files again")) }
    }

    fn run(folder: &Path) -> io::Result<Program> {
        let config = folder.join("mosquitto.conf").display().to_string();
        Program::start("mosquitto", &["-c", &config], &folder.join("mosquitto.log"))
    }

    /// Kills it, and starts it again on the same port.
    ///
    /// # Errors
    /// When it does not start.
    pub fn kill_and_restart(&mut self) -> io::Result<()> {
        self.program.kill();
        self.program = Self::run(&self.folder)?;
        wait_for(local(self.port))
    }

    /// Kills it for good.
    pub fn kill(&mut self) {
        self.program.kill();
    }
}

/// Kannel: bearerbox, smsbox, and a made-up operator that shows what it got.
#[derive(Debug)]
pub struct Kannel {
    /// Where smsbox takes `sendsms`.
    pub port: u16,
    operator: PathBuf,
    _programs: [Program; 3],
}

impl Kannel {
    /// Starts all three; the account is `tocsin` with the password `secret`.
    ///
    /// # Errors
    /// When one is not installed, or does not start.
    pub fn start(folder: &Path) -> io::Result<Self> {
        let (admin, boxes, operator, port) = (free_port()?, free_port()?, free_port()?, free_port()?);
        let config = format!(
            "group = core\nadmin-port = {admin}\nsmsbox-port = {boxes}\nadmin-password = x\nstatus-password = x\n\
             box-allow-ip = \"127.0.0.1\"\nbox-deny-ip = \"*.*.*.*\"\nlog-level = 2\n\n\
             group = smsc\nsmsc = fake\nsmsc-id = FAKE\nhost = 127.0.0.1\nport = {operator}\nconnect-allow-ip = 127.0.0.1\n\n\
             group = smsbox\nbearerbox-host = 127.0.0.1\nsendsms-port = {port}\nlog-level = 2\n\n\
             group = sendsms-user\nusername = tocsin\npassword = secret\nmax-messages = 10\nconcatenation = true\n\n\
             group = sms-service\nkeyword = default\ntext = \"no\"\n"
        );
        let file = folder.join("kannel.conf");
        std::fs::write(&file, config)?;
        let file = file.display().to_string();
        let bearerbox = Program::start("bearerbox", &[&file], &folder.join("bearerbox.log"))?;
        wait_for(local(boxes))?;
        let log = folder.join("operator.log");
        let number = operator.to_string();
        let fake = Program::start(
            "fakesmsc",
            &["-H", "127.0.0.1", "-r", &number, "-m", "0", "-i", "100000", "1 2 text x"],
            &log,
        )?;
        let smsbox = Program::start("smsbox", &[&file], &folder.join("smsbox.log"))?;
        wait_for(local(port))?;
        Ok(Self { port, operator: log, _programs: [smsbox, fake, bearerbox] })
    }

    /// What the operator got: receiver and text of each part.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub fn messages(&self) -> io::Result<Vec<(String, String)>> {
        let log = String::from_utf8_lossy(&std::fs::read(&self.operator)?).into_owned();
        let message = |line: &str| {
            let inside = line.split_once("Got message")?.1.split_once('<')?.1.strip_suffix('>')?;
            let mut words = inside.splitn(4, ' ');
            let (_, to, coding, text) = (words.next()?, words.next()?, words.next()?, words.next()?);
            // A long message's part begins with its header, apart by a space.
            let text = if coding == "udh" || coding.contains("udh") { text.rsplit(' ').next()? } else { text };
            let bytes = unescape(text);
            let text = if coding.contains("ucs-2") || text.contains("%") {
                String::from_utf16_lossy(
                    &bytes.chunks_exact(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect::<Vec<_>>(),
                )
            } else {
                String::from_utf8_lossy(&bytes).into_owned()
            };
            Some((to.to_owned(), text))
        };
        Ok(log.lines().filter_map(message).collect())
    }
}

/// Undoes percent-encoding; `+` is a space.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16)).unwrap_or(0);
                let high = digit();
                bytes.extend(u8::try_from(high * 16 + digit()));
            }
            b'+' => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::is_whole;

    #[test]
    fn a_mail_counts_when_its_last_line_is_there() {
        let mail = "Content-Type: multipart/alternative;\r\n boundary=\"b\"\r\n\r\n--b\r\n\r\ntext\r\n--b--\r\n\n";
        assert!(is_whole(mail));
        for end in 0..mail.trim_end().len() {
            assert!(!is_whole(&mail[..end]), "{end}");
        }
    }
}
