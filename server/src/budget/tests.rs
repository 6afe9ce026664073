use std::{fs, thread};

use super::*;

fn tenant(name: &str) -> TenantId {
    TenantId::from_stored(name)
}

fn model() -> Arc<str> {
    "m".into()
}

fn open(directory: &Path) -> (DataDirectory, Arc<Budgets>) {
    let directory = DataDirectory::open(directory).unwrap();
    let budgets = Arc::new(Budgets::open(&directory).unwrap());
    (directory, budgets)
}

fn ask(budgets: &Arc<Budgets>, limit: u64, vectors: u64) -> Result<u64, ApiError> {
    let mut charge = budgets.hold(&tenant("a"), &model(), limit, vectors)?;
    charge.spend().unwrap();
    Ok(charge.keep())
}

#[test]
fn a_budget_is_spent_all_or_nothing_and_by_model_and_tenant() {
    let directory = tempfile::tempdir().unwrap();
    let (_lock, budgets) = open(directory.path());
    assert_eq!(ask(&budgets, 10, 7), Ok(3));
    assert_eq!(ask(&budgets, 10, 4), Err(ApiError::BudgetSpent { left: 3 }));
    assert_eq!(ask(&budgets, 10, 3), Ok(0));
    assert_eq!(ask(&budgets, 10, 1), Err(ApiError::BudgetSpent { left: 0 }));
    assert_eq!(ask(&budgets, 11, 1), Ok(0), "a raised budget grants the difference");
    assert_eq!(ask(&budgets, 5, 1), Err(ApiError::BudgetSpent { left: 0 }));
    assert_eq!(budgets.left(&tenant("b"), &model(), 10), 10);
    assert_eq!(budgets.left(&tenant("a"), &"n".into(), 10), 10);
}

#[test]
fn what_is_not_evaluated_goes_back() {
    let directory = tempfile::tempdir().unwrap();
    let (_lock, budgets) = open(directory.path());
    let held = budgets.hold(&tenant("a"), &model(), 10, 8).unwrap();
    assert_eq!(ask(&budgets, 10, 3), Err(ApiError::BudgetSpent { left: 2 }), "held is not free");
    drop(held);
    let mut spent = budgets.hold(&tenant("a"), &model(), 10, 8).unwrap();
    spent.spend().unwrap();
    drop(spent); // as a panic would
    assert_eq!(ask(&budgets, 10, 10), Ok(0));
}

/// What another process would find.
fn stored(directory: &Path) -> u64 {
    read(&directory.join(FILE)).unwrap().values().map(|account| account.spent).sum()
}

#[test]
fn a_crash_overcharges_by_less_than_a_block_and_never_undercharges() {
    for limit in [1, 50, 1000, 1_000_000] {
        let block = (limit / 100).clamp(1, LARGEST_BLOCK);
        let directory = tempfile::tempdir().unwrap();
        let (_lock, budgets) = open(directory.path());
        let (mut spent, mut writes, mut last) = (0, 0, 0);
        for vectors in [1, 1, 3, 7, 1, 2, 256, 1, 40].into_iter().cycle().take(60) {
            if ask(&budgets, limit, vectors).is_err() {
                continue;
            }
            spent += vectors;
            let stored = stored(directory.path());
            assert!((spent..spent + block).contains(&stored), "{stored} for {spent} of {limit}");
            assert!(stored <= limit);
            writes += u32::from(stored != last);
            last = stored;
        }
        assert!(limit < 1_000_000 || writes < 40, "{writes} writes for 60 requests");
    }
}

#[test]
fn a_restart_goes_on_where_the_last_process_ended() {
    let directory = tempfile::tempdir().unwrap();
    let (lock, budgets) = open(directory.path());
    assert_eq!(ask(&budgets, 1000, 13), Ok(987));
    budgets.close().unwrap();
    let mut late = budgets.hold(&tenant("a"), &model(), 1000, 1).unwrap();
    assert!(late.spend().is_err(), "nothing is evaluated that the file does not know of");
    drop((lock, budgets, late));

    let (lock, budgets) = open(directory.path());
    assert_eq!(budgets.left(&tenant("a"), &model(), 1000), 987, "to the vector after a clean end");
    assert_eq!(ask(&budgets, 1000, 1), Ok(986));
    drop((lock, budgets));
    let (_lock, budgets) = open(directory.path());
    assert_eq!(budgets.left(&tenant("a"), &model(), 1000), 980, "a block of ten after a crash");
}

#[test]
fn a_damaged_file_is_refused_and_a_torn_line_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let good = r#"{"tenant":"a","model":"m","vectors":7}"#;
    let path = directory.path().join(FILE);
    fs::write(&path, format!("{good}\n{}", &good[..20])).unwrap();
    let (lock, budgets) = open(directory.path());
    assert_eq!(budgets.left(&tenant("a"), &model(), 10), 3);
    drop((lock, budgets));
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{good}\n"));
    for bad in [&good[..20], r#"{"tenant":"a","model":"m","vectors":-7}"#, "", "7"] {
        fs::write(&path, format!("{bad}\n{good}\n")).unwrap();
        let lock = DataDirectory::open(directory.path()).unwrap();
        assert!(matches!(Budgets::open(&lock), Err(data::Error::Damaged { line: 1, .. })), "{bad}");
    }
}

#[test]
fn threads_spend_no_more_than_there_is() {
    let directory = tempfile::tempdir().unwrap();
    let (_lock, budgets) = open(directory.path());
    let granted: u64 = thread::scope(|scope| {
        let spend = || scope.spawn(|| (0..200).filter(|_| ask(&budgets, 500, 1).is_ok()).count() as u64);
        let spenders: Vec<_> = (0..4).map(|_| spend()).collect();
        spenders.into_iter().map(|spender| spender.join().unwrap()).sum()
    });
    assert_eq!(granted, 500);
    assert_eq!(stored(directory.path()), 500);
}
