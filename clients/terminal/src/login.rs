//! Asking who somebody is: on the terminal, without showing the password, or from the environment.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, read};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use volery_client::shell::{AccountError, Api, ApiError, Client};
use volery_tls::Trust;

use crate::{Failure, Options};

/// A client of the account that is meant, logged in.
pub(crate) async fn open(options: &Options, trust: &Trust, home: &Path) -> Result<Client, Failure> {
    let user_name = match &options.user {
        Some(name) => name.clone(),
        None => ask("User name: ")?,
    };
    let mut password = options.password.clone();
    if options.register {
        let chosen = password.take().map_or_else(choose, Ok)?;
        Api::new(&options.gateway, trust.clone())?.register(&user_name, &chosen).await?;
        password = Some(chosen);
    }
    loop {
        let opened =
            Client::open(home.to_owned(), &options.gateway, trust.clone(), &user_name, password.as_deref()).await;
        match opened {
            Ok(client) => return Ok(client),
            Err(AccountError::PasswordNeeded) => password = Some(ask_secretly(&format!("Password of {user_name}: "))?),
            Err(AccountError::Api(error))
                if is_wrong(&error) && options.password.is_none() && io::stdin().is_terminal() =>
            {
                eprintln!("{error}");
                password = offer_account(options, trust, &user_name).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_wrong(error: &ApiError) -> bool {
    matches!(error, ApiError::Refused { code, .. } if code == volery_kernel::code::Code::WrongCredentials.text())
}

/// Nobody of that name and password: perhaps the account is to be made. Gives its password then.
async fn offer_account(options: &Options, trust: &Trust, user_name: &str) -> Result<Option<String>, Failure> {
    if ask(&format!("Make a new account called {user_name}? [y/N] "))?.to_lowercase() != "y" {
        return Ok(None);
    }
    let password = choose()?;
    match Api::new(&options.gateway, trust.clone())?.register(user_name, &password).await {
        Ok(_) => Ok(Some(password)),
        Err(ApiError::Refused { title, .. }) => {
            eprintln!("{title}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn choose() -> Result<String, Failure> {
    loop {
        let password = ask_secretly("Choose a password: ")?;
        if ask_secretly("Once more: ")? == password {
            return Ok(password);
        }
        eprintln!("These are not the same.");
    }
}

fn ask(question: &str) -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::NobodyToAsk);
    }
    eprint!("{question}");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    let answer = answer.trim().to_owned();
    if answer.is_empty() { Err(Failure::NobodyToAsk) } else { Ok(answer) }
}

fn ask_secretly(question: &str) -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::NobodyToAsk);
    }
    eprint!("{question}");
    io::stderr().flush()?;
    enable_raw_mode()?;
    let typed = type_secretly();
    disable_raw_mode()?;
    eprintln!();
    typed
}

fn type_secretly() -> Result<String, Failure> {
    let mut secret = String::new();
    loop {
        let Event::Key(key) = read()? else { continue };
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            _ if key.kind == KeyEventKind::Release => {}
            KeyCode::Enter => return Ok(secret),
            KeyCode::Char('c' | 'd') if control => return Err(Failure::NobodyToAsk),
            KeyCode::Char('u') if control => secret.clear(),
            KeyCode::Backspace => drop(secret.pop()),
            KeyCode::Char(c) if !control => secret.push(c),
            _ => {}
        }
    }
}
