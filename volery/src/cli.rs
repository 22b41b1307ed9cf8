//! Commands and flags. Every configuration key is a flag of the commands that read the configuration.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use volery_node::config::{self, Loaded};
use volery_node::telemetry;

use crate::roles::{Role, Roles};
use crate::{Failure, admin, alone, generation, up};

/// The argument that lists further roles.
const MORE_ROLES: &str = "roles";

/// Runs what the command line says.
///
/// # Errors
/// A sentence for whoever typed it.
pub fn run() -> Result<(), Failure> {
    let matches = command().get_matches();
    match matches.subcommand() {
        Some(("up", matches)) => {
            let Loaded { config, .. } = load(matches)?;
            telemetry::init(&config.telemetry_filter, config.telemetry_format)?;
            up::run(&config)
        }
        Some(("chat", matches)) => chat(matches),
        Some(("config", matches)) => match matches.subcommand() {
            Some(("check", matches)) => load(matches).map(|_| println!("The configuration is good.")),
            Some((_, matches)) => {
                for (key, value, origin) in load(matches)?.effective() {
                    println!("{} = {value}    # {origin}", key.name);
                }
                Ok(())
            }
            None => run_roles("config", matches),
        },
        Some(("admin", matches)) => match matches.subcommand() {
            Some(("log-generation", matches)) => {
                let Loaded { config, .. } = load(matches)?;
                generation::run(&config, matches.get_flag("begin"))
            }
            Some((_, users)) => import(users),
            None => Ok(()),
        },
        Some((first, matches)) => run_roles(first, matches),
        None => Ok(()),
    }
}

fn import(users: &ArgMatches) -> Result<(), Failure> {
    let Some((_, import)) = users.subcommand() else { return Ok(()) };
    let Loaded { config, .. } = load(import)?;
    let file = import.get_one::<PathBuf>("file").ok_or(Failure("name a file".to_owned()))?;
    admin::import_users(&config, file)
}

/// Runs the role that the subcommand names, and those that are listed behind it.
fn run_roles(first: &str, matches: &ArgMatches) -> Result<(), Failure> {
    let more = matches.get_many::<String>(MORE_ROLES).unwrap_or_default().map(String::as_str);
    let named = |name: &str| Role::ALL.into_iter().find(|role| role.name() == name);
    let roles = Roles::of([first].into_iter().chain(more).filter_map(named));
    let Loaded { config, .. } = load(matches)?;
    telemetry::init(&config.telemetry_filter, config.telemetry_format)?;
    alone::run(&config, roles)
}

/// A subcommand for each role; others may be listed behind it.
fn role_command(role: Role) -> Command {
    let names = Role::ALL.map(Role::name);
    let more = Arg::new(MORE_ROLES).value_name("ROLE").num_args(0..).value_parser(names);
    let about = format!("{}, in a process of its own or with the roles listed behind it", role.about());
    with_config(Command::new(role.name()).about(about).arg(more.help("Roles that run in the same process")))
}

fn command() -> Command {
    let check = with_config(Command::new("check").about("Checks the configuration and lists all mistakes at once"));
    let show = with_config(Command::new("show").about("Shows every value in force and where it was set"));
    let import = Command::new("import")
        .about("Imports users from JSON lines: {\"user_name\", \"password_hash\" (PHC), \"display_name\"?, \"id\"?}")
        .arg(
            Arg::new("file").required(true).value_parser(value_parser!(PathBuf)).help("The file; - for standard input"),
        );
    Command::new("volery")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A chat engine: durable, ordered, in one process or in many")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_config(Command::new("up").about("Runs every role in this process")))
        .subcommands(Role::ALL.into_iter().filter(|role| *role != Role::Config).map(role_command))
        .subcommand(chat_command())
        .subcommand(role_command(Role::Config).args_conflicts_with_subcommands(true).subcommand(check).subcommand(show))
        .subcommand(
            Command::new("admin")
                .about("What operators do")
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommand(with_config(log_generation()))
                .subcommand(
                    Command::new("users")
                        .about("Users")
                        .subcommand_required(true)
                        .arg_required_else_help(true)
                        .subcommand(with_config(import)),
                ),
        )
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

fn chat_command() -> Command {
    let switch =
        |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    Command::new("chat")
        .about("A terminal client: chats, history, ticks; keeps what you write while it is offline")
        .arg(
            Arg::new("gateway")
                .long("gateway")
                .value_name("URL")
                .env("VOLERY_GATEWAY")
                .default_value("http://127.0.0.1:8400")
                .help("The gateway's address"),
        )
        .arg(
            Arg::new("user")
                .long("user")
                .value_name("NAME")
                .env("VOLERY_USER")
                .help("Who you are; asked for if missing"),
        )
        .arg(switch("register", "Makes the account first"))
        .arg(switch("plain", "Lines instead of a screen, for pipes: `@name text` sends"))
        .arg(
            Arg::new("state")
                .long("state")
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .help("Where state is kept [default: $XDG_STATE_HOME/volery]"),
        )
        .after_help("The password is asked for, or taken from VOLERY_PASSWORD.")
}

fn chat(matches: &ArgMatches) -> Result<(), Failure> {
    let options = volery_terminal::Options {
        gateway: matches.get_one::<String>("gateway").cloned().unwrap_or_default(),
        user: matches.get_one::<String>("user").cloned(),
        password: std::env::var("VOLERY_PASSWORD").ok(),
        register: matches.get_flag("register"),
        plain: matches.get_flag("plain"),
        state: matches.get_one::<PathBuf>("state").cloned(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    Ok(runtime.block_on(volery_terminal::run(options))?)
}

/// `--config`, `--set`, `--data` and a flag for every key.
fn with_config(command: Command) -> Command {
    let file = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("The configuration file [default: volery.toml, if it is there]");
    let set = Arg::new("set")
        .long("set")
        .value_name("KEY=VALUE")
        .action(ArgAction::Append)
        .help("Sets any key of the reference");
    let data = Arg::new("data").long("data").value_name("DIR").help("Short for --data-dir");
    let keys = config::keys().iter().map(|key| {
        let default = if key.default.is_empty() { String::new() } else { format!(" [default: {}]", key.default) };
        Arg::new(key.name)
            .long(key.flag())
            .value_name(key.kind)
            .help(format!("{}{default}", key.doc))
            .help_heading("Configuration")
    });
    command.arg(file).arg(set).arg(data).args(keys)
}

fn load(matches: &ArgMatches) -> Result<Loaded, Failure> {
    let mut flags = Vec::new();
    for pair in matches.get_many::<String>("set").unwrap_or_default() {
        let (key, value) = pair.split_once('=').ok_or_else(|| Failure(format!("--set takes KEY=VALUE, not {pair}")))?;
        flags.push((key.to_owned(), value.to_owned()));
    }
    if let Some(dir) = matches.get_one::<String>("data") {
        flags.push(("data-dir".to_owned(), dir.clone()));
    }
    for key in config::keys() {
        if let Some(value) = matches.get_one::<String>(key.name) {
            flags.push((key.flag(), value.clone()));
        }
    }
    Ok(config::load_process(matches.get_one::<PathBuf>("config").cloned(), flags)?)
}
