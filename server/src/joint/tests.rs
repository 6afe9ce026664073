//! The board with messages of clinics: taken once, kept over a restart, bounded.

use tiresias_evidence::LogKey;

use super::*;

struct Clinics {
    keys: Vec<LogKey>,
    roster: Roster,
    directory: tempfile::TempDir,
    policy: JointPolicy,
}

fn clinics() -> Clinics {
    let key = |at: u8| LogKey::from_seed(&format!("clinic-{at}"), &[at; 32]).unwrap();
    let keys: Vec<LogKey> = (0..3).map(key).collect();
    let roster = Roster::new("study", keys.iter().map(LogKey::verifier).collect()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("study.roster");
    fs::write(&path, roster.text()).unwrap();
    let policy = JointPolicy { rosters: vec![path], values: 10, total_bytes: 64 << 20 };
    Clinics { keys, roster, directory, policy }
}

impl Clinics {
    fn open(&self) -> Board {
        let data = DataDirectory::open(&self.directory.path().join("data")).unwrap();
        Board::open(&self.policy, &data).unwrap()
    }

    fn place(&self, round: u32, step: Step) -> Place {
        Place { roster: self.roster.id(), ceremony: 1, round, step }
    }

    fn message(&self, place: Place, clinic: usize, payload: &[u8]) -> Vec<u8> {
        let name = self.roster.clinics()[clinic].name().to_owned();
        let message = Message { place, clinic: name, before: [0; 32], payload: [0; 32] };
        Signed::sign(&self.keys[clinic], message, payload)
    }
}

#[test]
fn a_message_is_taken_once_from_its_clinic_and_kept() {
    let clinics = clinics();
    let place = clinics.place(0, Step::Seed);
    let message = clinics.message(place, 1, b"seed");
    let board = clinics.open();
    assert_eq!(board.get(&place, 1), Err(ApiError::JointUnknown));
    assert_eq!(board.newest(&place.roster, None), Ok(0));
    assert!(board.put(&place, 1, &message).unwrap().is_new);
    assert!(!board.put(&place, 1, &message).unwrap().is_new, "the same bytes again");
    let other = clinics.message(place, 1, b"another seed");
    assert_eq!(board.put(&place, 1, &other).err(), Some(ApiError::JointConflict));
    drop(board);
    let board = clinics.open();
    assert_eq!(board.get(&place, 1), Ok(message.clone()));
    assert_eq!(board.put(&place, 1, &other).err(), Some(ApiError::JointConflict), "after a restart too");
    assert_eq!((board.newest(&place.roster, None), board.newest(&place.roster, Some(1))), (Ok(1), Ok(0)));
    // For another place, of another clinic, of a roster that this gateway has not.
    for (place, clinic) in
        [(clinics.place(0, Step::Commit), 1), (Place { ceremony: 2, ..place }, 1), (place, 0), (place, 3)]
    {
        let refused = board.put(&place, clinic, &message).err();
        assert!(matches!(refused, Some(ApiError::MalformedMessage(_))), "{refused:?}");
    }
    let elsewhere = Place { roster: [1; 32], ..place };
    assert_eq!(board.put(&elsewhere, 1, &message).err(), Some(ApiError::JointUnknown));
    assert_eq!(board.get(&elsewhere, 1), Err(ApiError::JointUnknown));
}

#[test]
fn payloads_have_their_form() {
    let clinics = clinics();
    let board = clinics.open();
    for (round, step) in [(0, Step::Open), (1, Step::Submit)] {
        let place = clinics.place(round, step);
        for payload in [Vec::new(), vec![0; 31], vec![0; 1 << 20]] {
            let refused = board.put(&place, 0, &clinics.message(place, 0, &payload)).err();
            let refused = refused.map(|error| error.rule().code);
            assert!(matches!(refused, Some("malformed_message" | "malformed_ciphertext")), "{refused:?}");
        }
    }
}

#[test]
fn the_room_for_messages_is_bounded() {
    let mut clinics = clinics();
    clinics.policy.total_bytes = 1200;
    let board = clinics.open();
    let place = clinics.place(0, Step::Seed);
    board.put(&place, 0, &clinics.message(place, 0, b"seed")).unwrap();
    let next = clinics.message(place, 1, &[0; 600]);
    assert_eq!(board.put(&place, 1, &next).err(), Some(ApiError::JointFull));
    drop(board);
    assert_eq!(clinics.open().put(&place, 1, &next).err(), Some(ApiError::JointFull), "counted at the start");
}
