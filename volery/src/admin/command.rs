//! The commands of `volery admin`, as they are typed, and what each does.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use volery_kernel::map::NodeKind;
use volery_kernel::slot::Partition;
use volery_node::config::{Config, Loaded};
use volery_ports::cluster::{Action, Order};

use super::desk::{self, Desk};
use super::settings::Wish;
use super::show::Answer;
use super::{import_users, lag, nodes, orders, settings, users};
use crate::cli::{load, with_config};
use crate::{Failure, generation};

/// Longest name of who changes a setting, in bytes: an address for mail fits.
const BY_MOST: usize = 256;

/// `volery admin`.
pub(crate) fn command() -> Command {
    let seconds = Arg::new("seconds")
        .long("seconds")
        .value_name("N")
        .value_parser(value_parser!(u64).range(1..=60))
        .default_value("2")
        .help("For how long to measure");
    let partition = Arg::new("partition")
        .value_name("PARTITION")
        .index(1)
        .required(true)
        .value_parser(value_parser!(u16))
        .help("The partition's number");
    group(Command::new("admin").about("What operators look at and change"))
        .subcommand(asks("nodes", "Lists the nodes that are up or drained, and how many partitions each owns"))
        .subcommand(asks("partitions", "Lists who owns each partition"))
        .subcommand(
            order("drain", "Lets a node hand over all that it has; it is given nothing until it is undrained")
                .arg(no_wait()),
        )
        .subcommand(order("undrain", "Gives partitions to a node again"))
        .subcommand(
            order("move", "Gives a partition to a node; another one may come back for it")
                .mut_arg("node", |node| node.index(2))
                .arg(partition)
                .arg(no_wait()),
        )
        .subcommand(asks("lag", "Measures how far readers are behind, in every process").arg(seconds))
        .subcommand(settings_command())
        .subcommand(with_config(log_generation()))
        .subcommand(users_command())
}

/// Does what was typed behind `volery admin`.
pub(crate) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
        Some(("nodes", matches)) => {
            answer(matches, async |config| Ok(nodes::nodes(&Desk::open(config).await?.nodes().await?)))
        }
        Some(("partitions", matches)) => {
            answer(matches, async |config| Ok(nodes::partitions(&Desk::open(config).await?.nodes().await?)))
        }
        Some(("drain", matches)) => give(matches, Action::Drain(text(matches, "node")?)),
        Some(("undrain", matches)) => give(matches, Action::Undrain(text(matches, "node")?)),
        Some(("move", matches)) => {
            let partition = matches.get_one("partition").copied().map(Partition);
            let partition = partition.ok_or(Failure("name a partition".to_owned()))?;
            give(matches, Action::Move(partition, text(matches, "node")?))
        }
        Some(("lag", matches)) => {
            let window = Duration::from_secs(matches.get_one("seconds").copied().unwrap_or(2));
            answer(matches, async |config| lag::lag(config, window).await)
        }
        Some(("settings", matches)) => run_settings(matches),
        Some(("log-generation", matches)) => {
            let Loaded { config, .. } = load(matches)?;
            generation::run(&config, matches.get_flag("begin"))
        }
        Some(("users", matches)) => run_users(matches),
        _ => Ok(()),
    }
}

fn give(matches: &ArgMatches, action: Action) -> Result<(), Failure> {
    let kind = matches.get_one::<String>("kind").map_or("", String::as_str);
    let kind = NodeKind::ALL.into_iter().find(|known| known.name() == kind).unwrap_or(NodeKind::Messaging);
    let order = Order { kind, action, seen: matches.get_one("seen").copied(), by: text(matches, "by")? };
    let wait = !matches.try_get_one::<bool>("no-wait").ok().flatten().copied().unwrap_or(false);
    answer(matches, async |config| orders::give(&Desk::open(config).await?, order, wait).await)
}

fn run_settings(matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
        Some(("set" | "unset", matches)) => {
            let wish = wish(matches)?;
            answer(matches, async |config| settings::change(&Desk::open(config).await?, wish).await)
        }
        list => {
            let matches = list.map_or(matches, |(_, matches)| matches);
            answer(matches, async |config| Ok(settings::list(&Desk::open(config).await?.settings().await?)))
        }
    }
}

fn wish(matches: &ArgMatches) -> Result<Wish, Failure> {
    Ok(Wish {
        name: text(matches, "name")?,
        value: matches.try_get_one::<String>("value").ok().flatten().cloned(),
        seen: matches.get_one("seen").copied(),
        by: text(matches, "by")?,
    })
}

fn run_users(matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
        Some(("import", matches)) => {
            let Loaded { config, .. } = load(matches)?;
            let file = matches.get_one::<PathBuf>("file").ok_or(Failure("name a file".to_owned()))?;
            import_users(&config, file)
        }
        Some(("show", matches)) => {
            let name = text(matches, "name")?;
            answer(matches, async |config| users::show(desk::store(config).await?.accounts.as_ref(), &name).await)
        }
        Some(("find", matches)) => {
            let part = text(matches, "text")?;
            answer(matches, async |config| users::find(desk::store(config).await?.accounts.as_ref(), &part).await)
        }
        _ => Ok(()),
    }
}

fn text(matches: &ArgMatches, name: &str) -> Result<String, Failure> {
    matches.get_one::<String>(name).cloned().ok_or_else(|| Failure(format!("{name} is missing")))
}

/// Finds the answer and prints it as it is wanted.
fn answer(matches: &ArgMatches, find: impl AsyncFnOnce(&Config) -> Result<Answer, Failure>) -> Result<(), Failure> {
    let Loaded { config, .. } = load(matches)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(find(&config))?.print(matches.get_flag("json"))
}

fn group(command: Command) -> Command {
    command.subcommand_required(true).arg_required_else_help(true)
}

/// A command that answers.
fn asks(name: &'static str, about: &'static str) -> Command {
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("Answers in JSON, for scripts");
    with_config(Command::new(name).about(about).arg(json))
}

fn settings_command() -> Command {
    let name = || Arg::new("name").value_name("NAME").required(true).help("The setting, named as in configuration");
    let value = Arg::new("value").value_name("VALUE").required(true).allow_negative_numbers(true);
    asks("settings", "Lists the dynamic settings: what is set for every node, by whom, when")
        .args_conflicts_with_subcommands(true)
        .subcommand(asks("list", "Lists them"))
        .subcommand(
            changes("set", "Sets one for every node; nodes go by it within two seconds, without a restart")
                .arg(name())
                .arg(value.help("Written as in configuration")),
        )
        .subcommand(changes("unset", "Gives one back to each node's own configuration").arg(name()))
}

fn changes(name: &'static str, about: &'static str) -> Command {
    asks(name, about).arg(by()).arg(seen("Changes it only if it is at this version still [default: the newest]"))
}

/// A command to a node.
fn order(name: &'static str, about: &'static str) -> Command {
    let node = Arg::new("node").value_name("NODE").required(true).help("The node, named as in `volery admin nodes`");
    let kind = Arg::new("kind")
        .long("kind")
        .value_name("KIND")
        .value_parser(NodeKind::ALL.map(NodeKind::name))
        .default_value(NodeKind::Messaging.name())
        .help("Among which nodes");
    let seen = seen("Does it only if the map is at this version still [default: the newest]");
    asks(name, about).arg(node).arg(kind).arg(by()).arg(seen)
}

fn no_wait() -> Arg {
    let help = "Does not wait until it is done, nor for moves that are under way";
    Arg::new("no-wait").long("no-wait").action(ArgAction::SetTrue).help(help)
}

fn by() -> Arg {
    let by = Arg::new("by").long("by").value_name("NAME").env("USER").value_parser(person);
    by.default_value(own_number()).hide_default_value(true).help("Who says so: kept and shown")
}

/// Whoever runs this, where nobody said a name: containers have no `$USER`.
fn own_number() -> String {
    std::fs::metadata("/proc/self").map_or_else(|_| "somebody".to_owned(), |own| format!("uid-{}", own.uid()))
}

fn seen(help: &'static str) -> Arg {
    Arg::new("seen").long("seen").value_name("VERSION").value_parser(value_parser!(u64)).help(help)
}

fn person(name: &str) -> Result<String, String> {
    let fits = !name.is_empty() && name.len() <= BY_MOST && !name.contains(char::is_control);
    fits.then(|| name.to_owned()).ok_or_else(|| format!("a name has 1 to {BY_MOST} bytes and no control characters"))
}

fn log_generation() -> Command {
    Command::new("log-generation")
        .about("Compares the log with what was archived of it; after a loss, begins a new one. Stop every role first")
        .arg(
            Arg::new("begin")
                .long("begin")
                .action(ArgAction::SetTrue)
                .help("Begins a new generation: an empty log. The old one is kept, and not read any more"),
        )
}

fn users_command() -> Command {
    let import = Command::new("import")
        .about("Imports users from JSON lines: {\"user_name\", \"password_hash\" (PHC), \"display_name\"?, \"id\"?}")
        .arg(
            Arg::new("file").required(true).value_parser(value_parser!(PathBuf)).help("The file; - for standard input"),
        );
    let name = Arg::new("name").value_name("NAME").required(true).help("The user name");
    let text = Arg::new("text").value_name("TEXT").required(true).help("Three characters or more");
    group(Command::new("users").about("Users"))
        .subcommand(asks("show", "Shows a user and their devices").arg(name))
        .subcommand(asks("find", "Lists users in whose name or display name a text occurs").arg(text))
        .subcommand(with_config(import))
}
