//! Rounds with other clinics: each question of learning is a joint sum.

use std::{fmt::Write as _, panic::resume_unwind};

use tiresias_keys::Digest;
use tiresias_learn::Patients;
use tiresias_synth::Bounds;
use tokio::sync::{mpsc, oneshot};

use crate::{Error, cli::LearnArgs, joint::Session};

/// Clinics that learn together.
pub(super) struct Clinics {
    pub(super) session: Session,
    /// The settings that all of them have alike: a clinic with others gets no total.
    pub(super) about: String,
}

/// Asks for the totals of integers within a bound.
pub(super) type Sum = Box<dyn FnMut(&str, &[i64], u64) -> Result<Vec<i64>, Error> + Send>;

struct Question {
    text: String,
    values: Vec<i64>,
    bound: u64,
    answer: oneshot::Sender<Vec<i64>>,
}

impl Clinics {
    /// Learns on a thread of its own, whose questions are answered here.
    pub(super) async fn together<T: Send + 'static>(
        &mut self,
        learning: impl FnOnce(Sum) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (ask, mut asked) = mpsc::channel(1);
        let sum: Sum = Box::new(move |text, values, bound| {
            let (answer, answered) = oneshot::channel();
            let question = Question { text: text.to_owned(), values: values.to_vec(), bound, answer };
            // Where nobody answers any more, another error is told.
            ask.blocking_send(question).map_err(|_| Error::Interrupted)?;
            answered.blocking_recv().map_err(|_| Error::Interrupted)
        });
        let thread = tokio::task::spawn_blocking(move || learning(sum));
        while let Some(Question { text, values, bound, answer }) = asked.recv().await {
            let label = Digest::of(format!("{}{text}", self.about).as_bytes());
            let totals = self.session.sum(&hex::encode(label.as_bytes()), &values, bound).await?;
            // A thread that has ended has an error to tell.
            let _ = answer.send(totals);
        }
        thread.await.unwrap_or_else(|error| resume_unwind(error.into_panic()))
    }
}

/// What all clinics must have alike.
pub(super) fn settings(
    args: &LearnArgs,
    patients: &Patients,
    names: &[String],
    bounds: Option<&Bounds>,
) -> Result<String, Error> {
    let Some(bounds) = bounds else {
        return Err(Error::Usage("--joint needs --bounds, the same at all clinics"));
    };
    if args.classes.is_empty() {
        return Err(Error::Usage("--joint needs --classes, the same at all clinics"));
    }
    if (args.groups.is_some() || args.group_column.is_some()) && args.group_names.is_empty() {
        return Err(Error::Usage("--joint with groups needs --group-names, the same at all clinics"));
    }
    let mut text = format!("tiresias learn\n{:?}\n", args.joint.label);
    let weighing = (args.balanced, args.reweigh, args.skip_evaluation, args.privacy.epsilon.is_some());
    let _ = writeln!(text, "{names:?}\n{:?}\n{:?}", patients.rows().classes(), patients.groups());
    let _ = writeln!(text, "{:?}\n{:?}\n{weighing:?}", args.strength, args.rounds);
    for bound in bounds.as_slice() {
        let _ = writeln!(text, "{:?} {:?}", bound.lower, bound.upper);
    }
    Ok(text)
}
