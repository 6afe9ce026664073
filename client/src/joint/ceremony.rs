//! The ceremony: a joint key that nobody holds alone. Each step is signed, logged, and rests on all messages of the one before.
//!
//! 1. *seed*: 32 random bytes, and whom to seal shares to. The mask a is expanded from the hash of all of these. Whoever sends the last one
//!    can try many, and gets one of as many random masks; none of them has a trapdoor, because it comes out of a hash.
//! 2. *commit*: the hash of the share b_i = a*s_i + e_i, its proof and a nonce. Nobody has seen another's b_j when choosing b_i.
//! 3. *open*: nonce, b_i and proof. A key that is made of others' keys, b* less their sum, was committed to before those were seen;
//!    and has no proof, as nobody knows a short secret of it. A key with a wide secret or wide noise, which would make what honest
//!    clinics encrypt show through their smudges, has none either.
//! 4. *agree*: everyone has verified all of that. Sums rest on these signatures, so two clinics that were shown different ceremonies
//!    never add anything up.

use std::time::Duration;

use tiresias_evidence::{
    Hash,
    joint::{Message, Roster, Signed, Step, chain},
};
use tiresias_keys::{
    Digest,
    joint::{JointKeyShare, joint_key, mask},
};

use super::{
    Error, Session,
    board::{Board, Waited, limit},
    state::{Kept, StateDirectory},
};
use crate::http::Connection;

const SEED: usize = 32;
const NONCE: usize = 32;

pub(super) async fn run(
    connection: Connection,
    roster: Roster,
    state: StateDirectory,
    ceremony: u32,
    patience: Duration,
) -> Result<Session, crate::Error> {
    let kept = state.ceremony(&roster.id(), ceremony)?;
    let mut board = Board::new(connection, roster, state.key(None)?, ceremony, patience)?;
    let start = board.roster().id();

    let recipient = state.identity()?.to_public().to_string();
    let draft = board.draft(0, Step::Seed, start);
    board.send(&kept, draft, || Ok([entropy()?.as_slice(), recipient.as_bytes()].concat())).await?;
    let seeds = all(&mut board, Step::Seed, &start).await?;
    let recipients = seeds.iter().enumerate().map(|(clinic, seed)| {
        let text = seed.payload.get(SEED..).and_then(|text| std::str::from_utf8(text).ok());
        let recipient = text.and_then(|text| text.parse().ok());
        recipient
            .ok_or_else(|| cheat(&board, clinic, Step::Seed, "it is no seed with a key to seal shares to"))
    });
    let recipients = recipients.collect::<Result<Vec<age::x25519::Recipient>, _>>()?;

    let seeded = chain(seeds.iter().map(|seed| &seed.message));
    let common = mask(&Digest::from_bytes(seeded));
    let secret = kept.secret()?;
    let own = opening(&kept, &board, &seeded, &common, &secret)?;
    let draft = board.draft(0, Step::Commit, seeded);
    board.send(&kept, draft, || Ok(commitment(&own).as_bytes().to_vec())).await?;
    let commits = all(&mut board, Step::Commit, &seeded).await?;

    let committed = chain(commits.iter().map(|commit| &commit.message));
    let draft = board.draft(0, Step::Open, committed);
    board.send(&kept, draft, || Ok(own)).await?;
    let opens = all(&mut board, Step::Open, &committed).await?;
    let opened = chain(opens.iter().map(|open| &open.message));
    // Once this clinic has agreed, what it has verified is what these hashes say.
    let has_agreed = kept.message(0, Step::Agree)?.is_some();
    let shares = opens.iter().zip(&commits).enumerate().map(|(clinic, (open, commit))| {
        let refused = |rule| cheat(&board, clinic, Step::Open, rule);
        if commit.payload != commitment(&open.payload).as_bytes() {
            return Err(refused("it opens something else than it committed to"));
        }
        let frame = open.payload.get(NONCE..).unwrap_or_default();
        let share =
            JointKeyShare::from_bytes(frame).map_err(|_| refused("its share of the key is malformed"))?;
        if !has_agreed {
            let context = Digest::from_bytes(commit.message.context());
            let proved = share.verify(&common, &context);
            proved.map_err(|_| {
                refused("it has not proved that it knows a short secret of its share of the key")
            })?;
        }
        Ok(share)
    });
    let shares = shares.collect::<Result<Vec<_>, Error>>()?;

    let draft = board.draft(0, Step::Agree, opened);
    board.send(&kept, draft, || Ok(Vec::new())).await?;
    let agrees = all(&mut board, Step::Agree, &opened).await?;
    let transcript = chain(agrees.iter().map(|agree| &agree.message));
    let joint_key = joint_key(&shares);
    Ok(Session { board, state, ceremony, secret, mask: common, joint_key, transcript, recipients })
}

/// All clinics' messages of a step. No ceremony is left behind.
async fn all(board: &mut Board, step: Step, before: &Hash) -> Result<Vec<Signed>, crate::Error> {
    match board.wait(0, step, before, limit(step, None)).await? {
        Waited::All(messages) => Ok(messages),
        Waited::LeftBehind => Err(Error::Gateway("a ceremony has no later round").into()),
    }
}

/// Nonce, share and proof: made once, and kept. The proof is bound to the place of the commitment.
fn opening(
    kept: &Kept,
    board: &Board,
    seeded: &Hash,
    common: &[u64],
    secret: &tiresias_secret_key::JointSecret,
) -> Result<Vec<u8>, crate::Error> {
    if let Some(kept) = kept.opening()? {
        return Ok(kept);
    }
    let message: Message = board.draft(0, Step::Commit, *seeded);
    let share = secret.key_share(common, &Digest::from_bytes(message.context()))?;
    let opening = [entropy()?.as_slice(), &share.to_bytes()].concat();
    kept.keep_opening(&opening)?;
    Ok(opening)
}

/// What is committed to.
fn commitment(opening: &[u8]) -> Digest {
    Digest::of(&[b"tiresias/joint-commitment/v1\n".as_slice(), opening].concat())
}

fn entropy() -> Result<[u8; 32], crate::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(tiresias_secret_key::Error::from)?;
    Ok(bytes)
}

fn cheat(board: &Board, clinic: usize, step: Step, rule: &'static str) -> Error {
    Error::Cheat { clinic: board.name(clinic), step, rule }
}
