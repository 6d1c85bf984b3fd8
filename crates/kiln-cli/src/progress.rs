//! What a command is doing, once it takes longer than a second: a line that moves on a terminal, plain lines elsewhere. Both are on
//! standard error.

use std::io::IsTerminal;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::terminal::show_bar;

/// How long a command is silent.
const SILENT: Duration = Duration::from_secs(1);

/// Work that is being done; what is shown of it goes when it is dropped.
pub(crate) struct Progress {
    shared: Arc<Shared>,
    is_terminal: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    stage: String,
    /// Steps that are done and steps in all, where they are counted.
    steps: Option<(u64, u64)>,
    /// The last quarter that was said.
    quarter: u64,
    shows: bool,
    bar: Option<ProgressBar>,
    has_ended: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    /// Begins, with what is done first.
    pub(crate) fn new(stage: &str) -> Self {
        let shared = Arc::new(Shared::default());
        stage.clone_into(&mut shared.state().stage);
        let is_terminal = std::io::stderr().is_terminal();
        let own = Arc::clone(&shared);
        // It ends with the command at the latest.
        std::thread::spawn(move || {
            let state = own.state();
            let waited = own.ended.wait_timeout_while(state, SILENT, |state| !state.has_ended);
            let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if !state.has_ended {
                state.begin(is_terminal);
            }
        });
        Self { shared, is_terminal }
    }

    /// What is done next.
    pub(crate) fn stage(&self, stage: &str) {
        let mut state = self.shared.state();
        stage.clone_into(&mut state.stage);
        (state.steps, state.quarter) = (None, 0);
        if state.shows {
            state.say(self.is_terminal);
        }
    }

    /// Steps of what is done that are behind it.
    pub(crate) fn steps(&self, done: u64, all: u64) {
        let mut state = self.shared.state();
        state.steps = Some((done, all));
        let quarter = 4 * done / all.max(1);
        let is_news = self.is_terminal || quarter > std::mem::replace(&mut state.quarter, quarter);
        if state.shows && is_news {
            state.say(self.is_terminal);
        }
    }
}

impl State {
    fn begin(&mut self, is_terminal: bool) {
        self.shows = true;
        if is_terminal {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_elapsed(SILENT);
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}, {elapsed}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            show_bar(Some(bar.clone()));
            self.bar = Some(bar);
        }
        self.say(is_terminal);
    }

    fn say(&self, is_terminal: bool) {
        let text = match self.steps {
            Some((done, all)) => format!("{}: step {done} of {all}", self.stage),
            None => self.stage.clone(),
        };
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None if !is_terminal => note!("{text} ..."),
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let bar = {
            let mut state = self.shared.state();
            (state.has_ended, state.shows) = (true, false);
            state.bar.take()
        };
        self.shared.ended.notify_all();
        if let Some(bar) = bar {
            show_bar(None);
            bar.finish_and_clear();
        }
    }
}
