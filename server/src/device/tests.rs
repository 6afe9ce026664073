use std::{
    collections::VecDeque,
    sync::{Arc, mpsc},
};

use proptest::prelude::*;
use tiresias_circuits::bootstrap::{PreparedKey, Table};
use tiresias_keys::bootstrap_parameters::INSECURE_N64_N256_Q50;
use tiresias_secret_key::LongLivedKey;

use super::{
    messages::{Batch, LARGEST_BATCH, Parts, Received, Reply, Request},
    supervisor::{Job, Work, next},
};

proptest! {
    #[test]
    fn requests_and_replies_are_read_as_they_are_written(
        key in any::<u64>(),
        code in any::<u8>(),
        words in prop::collection::vec(any::<u64>(), 0..20_000),
        short in prop::collection::vec(any::<u32>(), 0..9),
        text in ".{0,40}",
    ) {
        let (start, end) = words.split_at(words.len() / 3);
        let parts = Parts { lwes: vec![start, end], tables: vec![&[1, 2], &[]], table_of: short.clone() };
        let batch = Batch { lwes: words.clone(), tables: vec![1, 2], table_of: short.clone() };
        let mut bytes = Vec::new();
        Request::Has { key }.write(&mut bytes).unwrap();
        Request::Load { key, parameters: code, rotation: &words, keyswitch: &short }.write(&mut bytes).unwrap();
        Request::Bootstrap { key, parts: &parts }.write(&mut bytes).unwrap();
        let mut from = bytes.as_slice();
        let mut read = || Received::read(&mut from).unwrap();
        prop_assert_eq!(read(), Some(Received::Has { key }));
        prop_assert_eq!(
            read(),
            Some(Received::Load { key, parameters: code, rotation: words.clone(), keyswitch: short })
        );
        prop_assert_eq!(read(), Some(Received::Bootstrap { key, batch }));
        prop_assert_eq!(read(), None);

        let results = Reply::Results(vec![start.to_vec(), end.to_vec()]);
        let lengths = [start.len(), end.len()];
        for reply in [Reply::Ready(text.clone()), Reply::Yes, Reply::No, results, Reply::Failed(text)] {
            let mut bytes = Vec::new();
            reply.write(&mut bytes).unwrap();
            prop_assert_eq!(Reply::read(&mut bytes.as_slice(), &lengths).unwrap(), reply);
            prop_assert!(Reply::read(&mut &bytes[..bytes.len() - 1], &lengths).is_err());
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic_or_keep_more_than_it_was_sent(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Received::read(&mut bytes.as_slice());
        let _ = Reply::read(&mut bytes.as_slice(), &[3]);
    }
}

#[test]
fn jobs_of_one_key_go_together_as_far_as_a_batch_goes_and_others_keep_their_order() {
    let key = || {
        let key = LongLivedKey::generate(&INSECURE_N64_N256_Q50).unwrap();
        Arc::new(PreparedKey::new(&key.evaluation_key().unwrap()))
    };
    let (one, other) = (key(), key());
    let table = Table::new(INSECURE_N64_N256_Q50.glwe(), |_| 0);
    let job = |key: &Arc<PreparedKey>, size: usize| {
        let work = Work { tables: vec![table.clone(); size], ..Work::default() };
        Job { key: Arc::clone(key), work, failures: 0, done: mpsc::sync_channel(1).0 }
    };
    let mut waiting = VecDeque::from([
        job(&one, 10),
        job(&other, 1),
        job(&one, LARGEST_BATCH - 15),
        job(&one, 6),
        job(&one, 5),
        job(&other, 2),
    ]);
    let mut sizes = Vec::new();
    while !waiting.is_empty() {
        sizes.push(next(&mut waiting).iter().map(|job| job.work.tables.len()).collect::<Vec<_>>());
    }
    assert_eq!(sizes, [vec![10, LARGEST_BATCH - 15, 5], vec![1, 2], vec![6]]);
}
