//! The task that has checkpoints cosigned (c2sp.org/tlog-witness): whoever trusts a witness then knows that the log has shown
//! everyone the same history.
//!
//! In rounds, all witnesses get the newest checkpoint whose tiles are there, each with the proof that it continues the one
//! which that witness cosigned last. Enough cosignatures make it the published checkpoint. No answer waits for a witness:
//! where they are silent, the published checkpoint stays behind, and after a while is published without them.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::Duration,
};

use tiresias_evidence::{
    Checkpoint, NoteVerifier, TileReader,
    merkle::{prove_consistency, verify_consistency},
    note::Note,
    witness::{Submission, read_cosignature, read_size},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

use super::{Newest, book::Signed, committer::Message, files::read_tile, metrics::WitnessMetrics};
use crate::{
    config::{WitnessAddress, WitnessPolicy},
    tls,
};

mod wire;

pub(crate) use wire::client_config;
use wire::{Broken, Wire};

/// A witness has so long for one checkpoint, from the connection to the answer.
const LONGEST: Duration = Duration::from_secs(10);

/// Where the log does not grow, its checkpoint is cosigned again after this time, which shows that it is still the newest.
const REFRESH: Duration = Duration::from_secs(3600);

/// After so many rounds without a quorum, checkpoints are published without it. Witnesses that fail are asked every so many
/// rounds at least.
const PATIENCE: u32 = 6;

const FORKED: &str = "forked";

/// Why a witness did not cosign.
#[derive(Debug)]
enum Trouble {
    /// No answer.
    Broken(Broken),
    /// It took too long.
    TimedOut,
    /// It holds a history that does not lead to this checkpoint.
    Forked(&'static str),
    /// It refused, with this status.
    Refused(u16),
    /// Its answer is not what the protocol says.
    Malformed(&'static str),
    /// The log's own tiles do not give the proof.
    Tiles,
}

impl Trouble {
    /// For metrics.
    fn reason(&self) -> &'static str {
        match self {
            Self::Broken(_) => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Forked(_) => FORKED,
            Self::Refused(_) => "refused",
            Self::Malformed(_) => "malformed",
            Self::Tiles => "damaged_tiles",
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Broken(broken) => write!(f, "{broken}"),
            Self::TimedOut => f.write_str("it did not answer in time"),
            Self::Forked(why) => f.write_str(why),
            Self::Refused(403 | 404) => {
                f.write_str("it does not know this log's key: give its operator what `tiresias-gateway log key` prints")
            }
            Self::Refused(status) => write!(f, "it refused with the HTTP status {status}"),
            Self::Malformed(rule) => f.write_str(rule),
            Self::Tiles => {
                f.write_str("the log's own tiles do not lead to its checkpoint: a restart makes them anew from the journal")
            }
        }
    }
}

/// A witness, and what is known of it.
struct Witness {
    key: NoteVerifier,
    wire: Wire,
    /// Leaves of the checkpoint that it cosigned last, as far as is known.
    size: u64,
    /// Rounds that failed since the last one that did not.
    failures: u32,
    /// Why the last one failed.
    trouble: Option<&'static str>,
    /// When it is asked next, at the earliest.
    next: Instant,
}

/// What is asked, and where the answers go.
pub(super) struct Witnesses {
    witnesses: Vec<Witness>,
    quorum: usize,
    every: Duration,
    newest: watch::Receiver<Newest>,
    messages: mpsc::Sender<Message>,
    public: Arc<Path>,
    metrics: WitnessMetrics,
    /// Leaves of the newest checkpoint that was cosigned.
    size: u64,
    /// Since when a larger one finds no quorum.
    silent_since: Option<Instant>,
    /// Whether that is so for so long that checkpoints are published without.
    is_alone: bool,
}

impl Witnesses {
    /// Nothing is asked yet. Of the newest checkpoints, one of `cosigned` leaves was cosigned before.
    pub(super) fn new(
        policy: &WitnessPolicy,
        (newest, cosigned): (watch::Receiver<Newest>, u64),
        messages: mpsc::Sender<Message>,
        public: PathBuf,
        metrics: WitnessMetrics,
    ) -> Result<Self, tls::Error> {
        let tls = client_config(policy)?;
        let witness = |address: &WitnessAddress| Witness {
            key: address.key.clone(),
            wire: Wire::new(address, tls.clone()),
            size: 0,
            failures: 0,
            trouble: None,
            next: Instant::now(),
        };
        let witnesses = policy.witnesses.iter().map(witness).collect();
        Ok(Self {
            witnesses,
            quorum: policy.quorum,
            every: policy.every,
            newest,
            messages,
            public: public.into(),
            metrics,
            size: cosigned,
            silent_since: None,
            is_alone: false,
        })
    }

    /// Goes on until the last checkpoint was cosigned, or the log is gone.
    pub(super) async fn run(mut self) {
        while self.next_round().await.is_some() {}
    }

    /// Has the newest checkpoint cosigned, and waits until it is time for another one. `None` where none follows.
    async fn next_round(&mut self) -> Option<()> {
        let began = Instant::now();
        let newest = self.newest.borrow_and_update().clone();
        let lines = self.round(&newest.signed).await;
        if lines.len() >= self.quorum {
            let size = newest.signed.size;
            self.cosigned(&newest.signed, &lines)?;
            let grown = self.newest.wait_for(|newest| newest.is_last || newest.signed.size > size);
            if let Ok(Err(_)) = timeout(REFRESH, grown).await {
                return None;
            }
        } else if newest.signed.size > self.size {
            self.too_few(began, lines.len())?;
        }
        if newest.is_last {
            return None;
        }
        let last = self.newest.wait_for(|newest| newest.is_last);
        match timeout_at(began + self.every, last).await {
            Ok(Err(_)) => None,
            Ok(Ok(_)) | Err(_) => Some(()),
        }
    }

    fn cosigned(&mut self, signed: &Signed, lines: &[String]) -> Option<()> {
        (self.size, self.silent_since) = (signed.size, None);
        if std::mem::take(&mut self.is_alone) {
            tracing::info!("checkpoints are published with cosignatures again");
        }
        self.metrics.cosigned(signed.size);
        let note = [&*signed.note, &lines.concat()].concat().into();
        self.messages.send(Message::Cosigned(Signed { note, size: signed.size })).ok()
    }

    fn too_few(&mut self, began: Instant, cosignatures: usize) -> Option<()> {
        let silent_since = *self.silent_since.get_or_insert(began);
        if self.is_alone || silent_since.elapsed() < self.every * PATIENCE {
            return Some(());
        }
        self.is_alone = true;
        tracing::warn!(
            cosignatures,
            quorum = self.quorum,
            "too few witnesses answer: checkpoints are published without cosignatures until they do"
        );
        self.metrics.alone();
        self.messages.send(Message::Alone).ok()
    }

    /// Asks the witnesses that are due. Gives their cosignatures, a line each.
    async fn round(&mut self, signed: &Signed) -> Vec<String> {
        let now = Instant::now();
        let (due, later): (Vec<_>, Vec<_>) =
            self.witnesses.drain(..).partition(|witness| witness.next <= now);
        self.witnesses = later;
        let mut asking = JoinSet::new();
        for mut witness in due {
            let (signed, public) = (signed.clone(), Arc::clone(&self.public));
            asking.spawn(async move {
                let asked = timeout(LONGEST, witness.ask(&signed, &public)).await;
                (witness, asked.unwrap_or(Err(Trouble::TimedOut)))
            });
        }
        let mut lines = Vec::new();
        while let Some(asked) = asking.join_next().await {
            let Ok((mut witness, asked)) = asked else {
                tracing::error!("asking a witness panicked: it is asked no more");
                continue;
            };
            match asked {
                Ok(line) => {
                    witness.succeeded(signed.size);
                    lines.push(line);
                }
                Err(trouble) => {
                    self.metrics.failed(witness.key.name(), trouble.reason());
                    witness.failed(&trouble, self.every);
                }
            }
            self.witnesses.push(witness);
        }
        let forked = self.witnesses.iter().filter(|witness| witness.trouble == Some(FORKED)).count();
        self.metrics.forked_at(forked);
        lines
    }
}

impl Witness {
    /// Has a checkpoint cosigned.
    async fn ask(&mut self, signed: &Signed, public: &Arc<Path>) -> Result<String, Trouble> {
        let mut has_told_its_size = false;
        loop {
            let (old, signed_now, public) = (self.size, signed.clone(), Arc::clone(public));
            let submit = tokio::task::spawn_blocking(move || submission(&public, old, &signed_now));
            let (text, submission) = submit.await.map_err(|_| Trouble::Tiles)??;
            let reply = self.wire.post(submission.into()).await.map_err(Trouble::Broken)?;
            match reply.status {
                200 => {
                    return read_cosignature(&reply.body, &text, &self.key)
                        .map_err(|_| Trouble::Malformed("its answer is no cosignature of its key"));
                }
                409 if reply.is_size && !has_told_its_size => {
                    self.size = read_size(&reply.body)
                        .map_err(|_| Trouble::Malformed("its answer is no size of a tree"))?;
                    if self.size > signed.size {
                        return Err(Trouble::Forked(
                            "it has cosigned more leaves than this log has: the log was rolled back, or another one with its key runs elsewhere",
                        ));
                    }
                    has_told_its_size = true;
                }
                409 => return Err(Trouble::Malformed("it names one size and then another")),
                422 => {
                    return Err(Trouble::Forked(
                        "it has cosigned another history of this log: another one with its key runs elsewhere, or did",
                    ));
                }
                status => return Err(Trouble::Refused(status)),
            }
        }
    }

    fn succeeded(&mut self, size: u64) {
        if self.trouble.take().is_some() {
            tracing::info!(witness = self.key.name(), "the witness cosigns again");
        }
        (self.size, self.failures) = (size, 0);
    }

    /// Says what failed, the same once, and that the log is forked each time.
    fn failed(&mut self, trouble: &Trouble, every: Duration) {
        let (witness, reason) = (self.key.name(), trouble.reason());
        let is_known = self.trouble.replace(reason) == Some(reason);
        match trouble {
            Trouble::Forked(_) => {
                tracing::error!(witness, "LOG FORKED: a witness does not cosign: {trouble}")
            }
            _ if is_known => tracing::debug!(witness, "a witness does not cosign: {trouble}"),
            _ => tracing::warn!(witness, "a witness does not cosign: {trouble}"),
        }
        self.failures = (self.failures + 1).min(PATIENCE);
        self.next = Instant::now() + every * (self.failures - 1);
    }
}

/// The checkpoint's text, and what a witness is sent that cosigned `old` leaves. The proof comes from the tiles that
/// anyone may read, and is checked first: where a file is damaged, the witness would speak of a fork.
fn submission(public: &Path, old: u64, signed: &Signed) -> Result<(String, String), Trouble> {
    let text = Note::parse(&signed.note).map_err(|_| Trouble::Tiles)?.text();
    let Checkpoint { size, root, .. } = Checkpoint::parse(text).map_err(|_| Trouble::Tiles)?;
    let mut proof = Vec::new();
    if old > 0 {
        let reader = TileReader::new(size, |path| read_tile(public, path).ok_or(()));
        proof = prove_consistency(&reader, old, size).map_err(|_| Trouble::Tiles)?;
        let old_root = reader.root(old).map_err(|_| Trouble::Tiles)?;
        verify_consistency((old, &old_root), (size, &root), &proof).map_err(|_| Trouble::Tiles)?;
    }
    let submission = Submission::new(old, proof, (*signed.note).to_owned()).map_err(|_| Trouble::Tiles)?;
    Ok((text.to_owned(), submission.to_text()))
}
