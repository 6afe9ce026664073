//! Interruption by the user: SIGINT (Ctrl-C) and SIGTERM. The first asks a run to stop before its next request, the
//! second to give up the request on its way.

use tokio::sync::watch;

use crate::{Error, output};

/// Whether the user asked to stop.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<u8>);

impl Stop {
    /// Nobody asks.
    #[must_use]
    pub fn never() -> Self {
        Self(watch::channel(0).1)
    }

    /// Listens to the signals from now on; they no longer end the process by themselves. Where the system does not let
    /// us listen, they do.
    #[must_use]
    pub fn on_signals() -> Self {
        Self::listen(output::note_interrupted)
    }

    /// The same for a server, which has nothing to finish and nothing to say.
    pub(crate) fn of_a_server() -> Self {
        Self::listen(|| {})
    }

    fn listen(heard: fn()) -> Self {
        let (asked, receiver) = watch::channel(0_u8);
        let Ok(mut signals) = Signals::new() else { return Self::never() };
        tokio::spawn(async move {
            while !asked.is_closed() {
                signals.next().await;
                asked.send_modify(|count| *count = count.saturating_add(1));
                if *asked.borrow() == 1 {
                    heard();
                }
            }
        });
        Self(receiver)
    }

    /// Whether the user has asked to stop.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if *self.0.borrow() > 0 { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// The future's output, unless the user asks to stop first.
    pub(crate) async fn or<T>(&self, future: impl Future<Output = T>) -> Result<T, Error> {
        self.or_asked(1, future).await
    }

    /// The future's output, unless the user asks to stop a second time.
    pub(crate) async fn or_insisted<T>(&self, future: impl Future<Output = T>) -> Result<T, Error> {
        self.or_asked(2, future).await
    }

    async fn or_asked<T>(&self, times: u8, future: impl Future<Output = T>) -> Result<T, Error> {
        let mut asked = self.0.clone();
        let asked = async {
            if asked.wait_for(|count| *count >= times).await.is_err() {
                // Nobody is left to ask.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = asked => Err(Error::Interrupted),
            output = future => Ok(output),
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals {
    interrupt: tokio::signal::windows::CtrlC,
    terminate: tokio::signal::windows::CtrlClose,
}

#[cfg(windows)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::windows::{ctrl_c, ctrl_close};
        Ok(Self { interrupt: ctrl_c()?, terminate: ctrl_close()? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
