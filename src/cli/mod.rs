//! The command line. Exit codes: 0 done, 1 refused or failed, 2 not understood.

mod alerts;
mod audit;
mod check;
mod client;
mod config;
mod desk;
mod devices;
mod explain;
mod feeds;
mod keys;
mod officers;
mod organisations;
mod outlets;
mod people;
mod serve;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, ConfigError};
use crate::show::Failure;
use crate::store::Store;

const EXAMPLES: &str = "\
The five commands that a new user needs:
  tocsin demo                      a typhoon of 2022, replayed to made-up residents
  tocsin check FILE                what is off about a CAP file
  tocsin explain FILE              what would become of it: regions, rules, texts, time
  tocsin serve                     take alerts and tell people
  tocsin status                    what became of them

These ask a server (--server URL, --token-file FILE): submit, queue, take, approve,
return, reject, withdraw, amend, split, stop, resume, correct. All others work on this
machine, with its configuration and store.

Exit codes: 0 done, 1 refused or failed, 2 not understood. NO_COLOR is honoured.";

/// Multi-channel early-warning alert broadcaster: CAP in, rules and officers decide, SMS, e-mail, MQTT and web push out.
#[derive(Parser)]
#[command(name = "tocsin", version, after_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    /// The configuration file.
    #[arg(long, short, global = true, default_value = "config.toml")]
    config: PathBuf,
    /// Answer in JSON, for machines.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Take alerts over HTTP and tell people, until stopped (SIGTERM or Ctrl-C); SIGHUP reads rules, templates and bureaus again
    Serve(serve::Args),
    /// Show the main job: sinks on this machine, made-up residents, typhoon Muifa replayed as a drill
    Demo(crate::demo::Args),
    /// Read CAP files, and each alert inside feeds, envelopes and lists, and say what is off about them; one line a file with --json
    Check(check::Args),
    /// Show what would become of an alert: regions, every rule with why, people, texts, time to finish
    Explain(explain::Args),
    /// Submit an alert to a running server
    Submit(alerts::SubmitArgs),
    /// List alerts, or show what became of one, from the store of this machine
    Status(alerts::StatusArgs),
    /// Show what waits for officers, most urgent first
    Queue(desk::QueueArgs),
    /// Say that you look at it: its step lasts once more
    Take(desk::TakeArgs),
    /// Say yes to what waits
    Approve(desk::ApproveArgs),
    /// Give what waits back to its author
    Return(desk::JudgeArgs),
    /// Refuse what waits, for good
    Reject(desk::JudgeArgs),
    /// Take back what waits
    Withdraw(desk::JudgeArgs),
    /// Change the end, the area or the words of what waits
    Amend(desk::AmendArgs),
    /// Let some counties of what waits be decided apart
    Split(desk::SplitArgs),
    /// Stop an alert that goes out
    Stop(desk::StopArgs),
    /// Let a stopped alert go on
    Resume(desk::ResumeArgs),
    /// Tell those who were told that an alert was wrong
    Correct(desk::CorrectArgs),
    /// Invite the first administrators; list officers
    #[command(subcommand)]
    Officers(officers::Command),
    /// Verify or export the record of who did what
    #[command(subcommand)]
    Audit(audit::Command),
    /// Show how webhooks and WIS2 do, or the log of one
    Webhooks(outlets::Args),
    /// Show how each source is: feeds, topics, folders
    Feeds,
    /// Import, export and count subscribers
    #[command(subcommand)]
    Subscribers(people::Command),
    /// Import, list and end organisations; their webhooks and accounts
    #[command(subcommand)]
    Organisations(organisations::Command),
    /// Import, list and end devices: sirens, loudspeakers, signs
    #[command(subcommand)]
    Devices(devices::Command),
    /// Write the MQTT broker's accounts
    #[command(subcommand)]
    Mqtt(devices::MqttCommand),
    /// Add made-up people to the drill's list
    Simulate(people::SimulateArgs),
    /// Work on the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make a bureau's token, and the hash that config holds
    Token,
    /// Make keys
    #[command(subcommand)]
    Keys(keys::Command),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Read everything that the configuration names, and say whether it holds
    Check,
}

/// Where commands find what they need.
pub(crate) struct Context {
    pub(crate) path: PathBuf,
    pub(crate) json: bool,
}

impl Context {
    /// The configuration; the default one where no file is there and none was asked for.
    pub(crate) fn config(&self) -> Result<Config, ConfigError> {
        if self.lacks_config() {
            return Ok(Config::default());
        }
        Config::load(&self.path)
    }

    /// Whether no file is there and none was asked for.
    fn lacks_config(&self) -> bool {
        !self.path.exists() && self.path.as_os_str() == "config.toml"
    }

    /// The store without the key of personal data; it is there already.
    pub(crate) async fn sealed_store(&self) -> Result<Store, Failure> {
        let config = self.config()?;
        self.is_there(&config)?;
        Ok(Store::open_sealed(&crate::app::store_options(&config)).await?)
    }

    /// The store that the configuration names, made where it is not there yet.
    pub(crate) async fn store(&self) -> Result<Store, Failure> {
        Ok(crate::app::open_store(&self.config()?).await?)
    }

    /// The store for whoever only reads: it is there already.
    pub(crate) async fn standing_store(&self) -> Result<Store, Failure> {
        let config = self.config()?;
        self.is_there(&config)?;
        Ok(crate::app::open_store(&config).await?)
    }

    /// Whoever reads in the wrong folder is told so, and makes no empty store there that would look as if all were well.
    fn is_there(&self, config: &Config) -> Result<(), Failure> {
        let Some(file) = missing_store(config) else { return Ok(()) };
        let file = file.display();
        Err(match self.lacks_config() {
            true => format!("{NO_CONFIG}, and no store at {file}: {GO_THERE}").into(),
            false => format!("there is no store at {file}, which [store] url names: `tocsin serve` makes it").into(),
        })
    }
}

const NO_CONFIG: &str = "there is no config.toml in this folder";
const GO_THERE: &str = "go to the folder where `tocsin serve` runs, or name its configuration with --config";

/// The store's file, where it is one and is not there.
fn missing_store(config: &Config) -> Option<&Path> {
    config.store.url.strip_prefix("sqlite://").map(Path::new).filter(|file| !file.exists())
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if !matches!(cli.command, Command::Serve(_)) {
        end_with_the_reader();
    }
    log_to_stderr(matches!(cli.command, Command::Serve(_)));
    // Two libraries could each bring a provider of their own; this one is used by all.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("the TLS provider was set before");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tocsin: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let context = Context { path: cli.config, json: cli.json };
    let done = runtime.block_on(run(cli.command, &context));
    // A thread that waits for a disk which does not answer keeps nobody here: what it would have done is done at the next start.
    runtime.shutdown_timeout(LAST_WORK);
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            if context.json {
                println!("{}", serde_json::json!({"error": error.to_string()}));
            } else {
                eprintln!("tocsin: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Work on threads of its own has so long to end with the program.
const LAST_WORK: std::time::Duration = std::time::Duration::from_secs(5);

/// Whoever reads the output may have seen enough (`| head`): that is no fault. The server goes on without a reader.
fn end_with_the_reader() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let said = info.payload().downcast_ref::<String>().map_or("", String::as_str);
        if said.starts_with("failed printing to stdout") && said.contains("Broken pipe") {
            std::process::exit(0);
        }
        usual(info);
    }));
}

/// Runs a command; false where it did its work and the answer is no.
async fn run(command: Command, context: &Context) -> Result<bool, Failure> {
    match command {
        Command::Serve(args) => Box::pin(serve::run(context, args)).await,
        Command::Demo(args) => Box::pin(crate::demo::run(args, context.json)).await,
        Command::Check(args) => check::run(context, &args),
        Command::Explain(args) => explain::run(context, &args).await,
        Command::Submit(args) => alerts::submit(context, args).await,
        Command::Status(args) => alerts::status(context, args).await,
        Command::Queue(args) => desk::queue(context, args).await,
        Command::Take(args) => desk::take(context, args).await,
        Command::Approve(args) => desk::approve(context, args).await,
        Command::Return(args) => desk::judge(context, args, "return").await,
        Command::Reject(args) => desk::judge(context, args, "reject").await,
        Command::Withdraw(args) => desk::judge(context, args, "withdraw").await,
        Command::Amend(args) => desk::amend(context, args).await,
        Command::Split(args) => desk::split(context, args).await,
        Command::Stop(args) => desk::stop(context, args).await,
        Command::Resume(args) => desk::resume(context, args).await,
        Command::Correct(args) => desk::correct(context, args).await,
        Command::Officers(command) => officers::run(context, command).await,
        Command::Audit(command) => audit::run(context, command).await,
        Command::Webhooks(args) => outlets::run(context, args).await,
        Command::Feeds => feeds::run(context).await,
        Command::Subscribers(command) => people::run(context, command).await,
        Command::Organisations(command) => organisations::run(context, command).await,
        Command::Devices(command) => devices::run(context, command).await,
        Command::Mqtt(command) => devices::mqtt(context, command).await,
        Command::Simulate(args) => people::simulate(context, args).await,
        Command::Config(ConfigCommand::Check) => config::check(context).await,
        Command::Token => keys::token(context),
        Command::Keys(command) => keys::run(context, command),
    }
}

fn log_to_stderr(serving: bool) {
    use std::io::IsTerminal as _;
    use tracing_subscriber::EnvFilter;
    let usual = if serving { "info" } else { "error" };
    let filter = EnvFilter::try_from_env("TOCSIN_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour);
    // A second logger cannot be set; the first one stays.
    let _ = if std::io::stderr().is_terminal() { builder.try_init() } else { builder.json().try_init() };
}

/// Where an export goes: a new file that its owner alone can read, or, for `-`, standard output.
fn export_to(path: &std::path::Path) -> Result<Box<dyn std::io::Write + Send>, String> {
    Ok(if is_screen(path) { Box::new(std::io::stdout()) } else { Box::new(crate::seal::new_private_file(path)?) })
}

/// Whether an export goes to standard output: nothing else is said there then.
fn is_screen(path: &std::path::Path) -> bool {
    path.as_os_str() == "-"
}
