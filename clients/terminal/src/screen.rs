//! The loop of the screen: draw, then wait for a key or for something to happen, whichever is first.

use std::io;
use std::time::Duration;

use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange, EventStream,
};
use crossterm::execute;
use futures::StreamExt as _;
use ratatui::DefaultTerminal;
use tokio::sync::mpsc;
use volery_client::core::Link;
use volery_client::shell::Client;

use crate::Failure;
use crate::app::App;
use crate::draw::draw;

/// Runs until the user leaves.
pub(crate) async fn run(client: Client) -> Result<(), Failure> {
    let mut terminal = ratatui::try_init()?;
    let _restore = Restore;
    execute!(io::stdout(), EnableBracketedPaste, EnableFocusChange)?;
    converse(&mut terminal, client).await
}

/// However the loop ends, the terminal is as it was.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = execute!(io::stdout(), DisableBracketedPaste, DisableFocusChange);
        ratatui::restore();
    }
}

async fn converse(terminal: &mut DefaultTerminal, mut client: Client) -> Result<(), Failure> {
    let (found, mut finds) = mpsc::channel(8);
    client.start()?;
    let mut app = App::new(client, found);
    let mut keys = EventStream::new();
    while !app.quit {
        terminal.draw(|frame| draw(&mut app, frame))?;
        app.after_drawing()?;
        // Only a countdown changes by itself.
        let counting = matches!(app.client.device().core().link(), Link::Waiting(_));
        let redraw = Duration::from_millis(if counting { 500 } else { 30_000 });
        tokio::select! {
            key = keys.next() => match key {
                Some(event) => app.event(&event?)?,
                None => app.quit = true,
            },
            news = app.client.turn() => { news?; }
            Some((part, people)) = finds.recv() => app.found(&part, people),
            () = tokio::time::sleep(redraw) => {}
        }
    }
    app.client.close().await?;
    Ok(())
}
