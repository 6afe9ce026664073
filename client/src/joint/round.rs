//! One sum: submit, verify what all have submitted, give one share, open.

use sha2::{Digest as _, Sha256};
use tiresias_evidence::{
    Hash,
    joint::{List, Step, chain},
};
use tiresias_keys::{
    Digest,
    joint::{JointShare, JointSubmission, JointSum, Plan},
};
use tiresias_secret_key::{encrypt_for_joint_sum, open_joint_sum};

use super::{
    Error, Session,
    board::{Waited, limit},
    seal::{seal, unseal},
    state::Kept,
};

/// The most bytes of a label.
const MAXIMUM_LABEL_BYTES: usize = 1024;

pub(super) async fn sum(
    session: &mut Session,
    label: &str,
    values: &[i64],
    bound: u64,
) -> Result<Vec<i64>, crate::Error> {
    if label.len() > MAXIMUM_LABEL_BYTES {
        return Err(Error::Input("the label of a sum has at most 1024 bytes").into());
    }
    let plan = Plan::new(session.clinics(), values.len(), bound)?;
    if values.iter().any(|value| value.unsigned_abs() > bound) {
        return Err(Error::Input("a value is out of the bounds of its sum").into());
    }
    let kept = session.state.ceremony(&session.board.roster().id(), session.ceremony)?;
    let before = before(session, &plan, label);
    let input = input(&before, values);
    loop {
        let last = kept.last_round()?;
        let goes_on = last > 0 && kept.is_unfinished(last, &input)?;
        let round = match session.board.newer_round(last).await? {
            Some(newer) => newer,
            None if goes_on => last,
            None => last.checked_add(1).ok_or(Error::Input("this ceremony has had all its rounds"))?,
        };
        kept.begin(round, &input)?;
        match attempt(session, &kept, round, &plan, &before, values).await {
            Ok(None) => {}
            Ok(Some(totals)) => {
                kept.finish(round)?;
                return Ok(totals);
            }
            // What did not come about does not come about later: the next attempt has fresh encryptions.
            Err(error @ crate::Error::Joint(_)) => {
                kept.finish(round)?;
                return Err(error);
            }
            // A connection that broke, or a user that stops: the same round is gone on with.
            Err(error) => return Err(error),
        }
    }
}

/// One round. `None` where others have left it behind.
async fn attempt(
    session: &mut Session,
    kept: &Kept,
    round: u32,
    plan: &Plan,
    before: &Hash,
    values: &[i64],
) -> Result<Option<Vec<i64>>, crate::Error> {
    let Session { board, mask, joint_key, secret, recipients, state, .. } = session;
    let draft = board.draft(round, Step::Submit, *before);
    let context = Digest::from_bytes(draft.context());
    let encrypt = || Ok(encrypt_for_joint_sum(plan, mask, joint_key, values, &context)?.to_bytes());
    let own = board.send(kept, draft, encrypt).await?;
    let Waited::All(submitted) =
        board.wait(round, Step::Submit, before, limit(Step::Submit, Some(plan))).await?
    else {
        return Ok(None);
    };

    let mut submissions = Vec::with_capacity(submitted.len());
    for (clinic, signed) in submitted.iter().enumerate() {
        let refused = |rule| Error::Cheat { clinic: board.name(clinic), step: Step::Submit, rule };
        let submission = JointSubmission::from_bytes(&signed.payload, plan.blocks())
            .map_err(|_| refused("its submission is malformed, or of another length"))?;
        if clinic == board.own() {
            if *signed != own {
                return Err(Error::Gateway(
                    "it shows another submission of this clinic than the one it sent",
                )
                .into());
            }
        } else {
            submission
                .verify(mask, &Digest::from_bytes(signed.message.context()))
                .map_err(|_| refused("it has not proved that it knows what it encrypted with"))?;
        }
        submissions.push(submission);
    }
    let sum = JointSum::new(plan, &submissions);
    let frame = sum.to_bytes();
    let list = List {
        submissions: chain(submitted.iter().map(|signed| &signed.message)),
        sum: Sha256::digest(&frame).into(),
    };
    let ours = [list.submissions.as_slice(), &list.sum, &frame].concat();
    if board.gateways_sum(round, ours.len()).await? != ours {
        return Err(Error::Gateway("its sum is not that of the submissions which it shows").into());
    }

    let draft = board.draft(round, Step::Share, list.hash());
    let share = || {
        let share = secret.share(plan, &sum)?.to_bytes();
        seal(&share, recipients).ok_or_else(|| Error::Input("the share could not be sealed").into())
    };
    board.send(kept, draft, share).await?;
    let Waited::All(sealed) =
        board.wait(round, Step::Share, &list.hash(), limit(Step::Share, Some(plan))).await?
    else {
        return Ok(None);
    };
    let identity = state.identity()?;
    let shares = sealed.iter().enumerate().map(|(clinic, signed)| {
        let share = unseal(&signed.payload, &identity, JointShare::encoded_len(plan));
        let share = share.and_then(|share| JointShare::from_bytes(&share, plan).ok());
        share.ok_or_else(|| Error::Cheat {
            clinic: board.name(clinic),
            step: Step::Share,
            rule: "its share is malformed, or not sealed to this clinic",
        })
    });
    let shares = shares.collect::<Result<Vec<_>, Error>>()?;
    let totals = open_joint_sum(plan, &sum, &shares).ok_or(Error::FalseTotal)?;
    Ok(Some(totals))
}

/// What a submission rests on: the ceremony that all agreed on, and what is summed.
fn before(session: &Session, plan: &Plan, label: &str) -> Hash {
    let text = format!(
        "tiresias/joint-sum/v1\ntranscript {}\nvalues {}\nbound {}\nlabel {label}\n",
        hex::encode(session.transcript),
        plan.values(),
        plan.bound()
    );
    Sha256::digest(text).into()
}

/// What this clinic sums, for its own disk alone.
fn input(before: &Hash, values: &[i64]) -> Hash {
    let hash = Sha256::new_with_prefix(before);
    let hash = values.iter().fold(hash, |hash, value| hash.chain_update(value.to_le_bytes()));
    hash.finalize().into()
}
