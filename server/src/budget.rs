//! Budgets: how many score vectors of a model a tenant has had, over all versions, restarts and crashes.
//!
//! A request holds its vectors in memory when it is admitted, and spends them right before they are evaluated. The
//! file says how many *may* have been spent: it runs ahead in blocks, so that few requests wait for the disk. After
//! a crash all that was reserved counts as spent: too much by less than a block, never too little. A clean end writes
//! the exact number. What is held but not evaluated goes back, in memory, where no crash can find it.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::{
    data::{self, DataDirectory},
    error::ApiError,
    journal::Journal,
    tenants::TenantId,
};

/// The file's name in the data directory.
pub(crate) const FILE: &str = "budgets.jsonl";
const LARGEST_BLOCK: u64 = 256;

/// Whose vectors of which model. A model's versions share one account: importing a head again grants nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    tenant: TenantId,
    model: Arc<str>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Account {
    /// Evaluated, or about to be.
    spent: u64,
    /// Admitted and not yet spent.
    held: u64,
    /// What the file says.
    reserved: u64,
}

/// A line of the file: the total that may have been spent.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    tenant: String,
    model: String,
    vectors: u64,
}

/// All accounts.
pub(crate) struct Budgets {
    accounts: Mutex<BTreeMap<Key, Account>>,
    /// Taken before `accounts`, and held while the disk is written; `accounts` never is.
    journal: Mutex<Option<Journal>>,
}

impl Budgets {
    /// For a gateway without a data directory, which has no budgets.
    pub(crate) fn none() -> Self {
        Self { accounts: Mutex::default(), journal: Mutex::default() }
    }

    /// Reads what was spent, and writes it back without what has become superfluous.
    pub(crate) fn open(directory: &DataDirectory) -> Result<Self, data::Error> {
        let path = directory.file(FILE);
        let accounts = read(&path)?;
        let journal = Journal::create(&path, &lines(&accounts, |account| account.reserved))
            .map_err(|source| data::Error::Io { path, source })?;
        Ok(Self { accounts: Mutex::new(accounts), journal: Mutex::new(Some(journal)) })
    }

    /// Sets `vectors` of a budget of `limit` aside, all or none.
    pub(crate) fn hold(
        self: &Arc<Self>,
        tenant: &TenantId,
        model: &Arc<str>,
        limit: u64,
        vectors: u64,
    ) -> Result<Charge, ApiError> {
        let key = Key { tenant: tenant.clone(), model: Arc::clone(model) };
        let mut accounts = self.accounts();
        let account = accounts.entry(key.clone()).or_default();
        let left = left(limit, account);
        if vectors > left {
            return Err(ApiError::BudgetSpent { left });
        }
        account.held += vectors;
        drop(accounts);
        Ok(Charge { budgets: Arc::clone(self), key, limit, vectors, state: State::Held })
    }

    /// Vectors left of a budget of `limit`.
    pub(crate) fn left(&self, tenant: &TenantId, model: &Arc<str>, limit: u64) -> u64 {
        let key = Key { tenant: tenant.clone(), model: Arc::clone(model) };
        self.accounts().get(&key).map_or(limit, |account| left(limit, account))
    }

    /// Writes the exact numbers. What is spent later is refused: nothing may be evaluated that the file does not
    /// know of.
    pub(crate) fn close(&self) -> io::Result<()> {
        let Some(mut journal) = self.journal().take() else { return Ok(()) };
        let mut accounts = self.accounts();
        for account in accounts.values_mut() {
            account.reserved = account.spent;
        }
        let lines = lines(&accounts, |account| account.spent);
        drop(accounts);
        journal.replace(&lines)
    }

    fn accounts(&self) -> MutexGuard<'_, BTreeMap<Key, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn journal(&self) -> MutexGuard<'_, Option<Journal>> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the file cover what `key` has spent. Waits for the disk.
    fn reserve(&self, key: &Key, limit: u64) -> io::Result<()> {
        let mut journal = self.journal();
        let journal = journal.as_mut().ok_or_else(|| io::Error::other("the budgets are closed"))?;
        let mut accounts = self.accounts();
        let account = accounts.entry(key.clone()).or_default();
        if account.spent <= account.reserved {
            return Ok(());
        }
        let wanted = round_up(account.spent, limit);
        if journal.wants_replacement(accounts.len()) {
            let mut lines = lines(&accounts, |account| account.reserved);
            drop(accounts);
            lines.push(line(key, wanted));
            journal.replace(&lines)?;
        } else {
            drop(accounts);
            journal.append(&line(key, wanted))?;
        }
        self.accounts().entry(key.clone()).or_default().reserved = wanted;
        Ok(())
    }
}

/// Vectors that were set aside. Dropped before they are evaluated, they go back.
pub(crate) struct Charge {
    budgets: Arc<Budgets>,
    key: Key,
    limit: u64,
    vectors: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Held,
    Spent,
    Kept,
}

impl Charge {
    /// Whether the file already covers what is held.
    pub(crate) fn is_covered(&self) -> bool {
        let accounts = self.budgets.accounts();
        accounts.get(&self.key).is_some_and(|account| account.spent + self.vectors <= account.reserved)
    }

    /// Spends what was held: on the disk when this returns. May wait for the disk, unless [`Charge::is_covered`].
    pub(crate) fn spend(&mut self) -> io::Result<()> {
        let covered = {
            let mut accounts = self.budgets.accounts();
            let account = accounts.entry(self.key.clone()).or_default();
            account.held -= self.vectors;
            account.spent += self.vectors;
            account.spent <= account.reserved
        };
        self.state = State::Spent;
        if covered { Ok(()) } else { self.budgets.reserve(&self.key, self.limit) }
    }

    /// The vectors were evaluated. Returns how many are left.
    pub(crate) fn keep(mut self) -> u64 {
        self.state = State::Kept;
        self.budgets.left(&self.key.tenant, &self.key.model, self.limit)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let mut accounts = self.budgets.accounts();
        let account = accounts.entry(self.key.clone()).or_default();
        match self.state {
            State::Held => account.held -= self.vectors,
            State::Spent => account.spent -= self.vectors,
            State::Kept => {}
        }
    }
}

/// The accounts of a file, which may not exist; nothing is changed.
fn read(path: &Path) -> Result<BTreeMap<Key, Account>, data::Error> {
    let lines = data::read(path, |line| serde_json::from_str::<Line>(line).ok())?;
    let accounts = lines.into_iter().map(|line| {
        let key = Key { tenant: TenantId::from_stored(&line.tenant), model: line.model.into() };
        (key, Account { spent: line.vectors, held: 0, reserved: line.vectors })
    });
    // Of several lines for one account the last one counts.
    Ok(accounts.collect())
}

/// Checks the file without changing it and returns the number of accounts.
pub(crate) fn check(path: &Path) -> Result<usize, data::Error> {
    Ok(read(path)?.len())
}

fn lines(accounts: &BTreeMap<Key, Account>, vectors: impl Fn(&Account) -> u64) -> Vec<String> {
    let totals = accounts.iter().map(|(key, account)| (key, vectors(account)));
    totals.filter(|(_, vectors)| *vectors > 0).map(|(key, vectors)| line(key, vectors)).collect()
}

fn line(key: &Key, vectors: u64) -> String {
    let line = Line { tenant: key.tenant.as_str().to_owned(), model: key.model.to_string(), vectors };
    serde_json::to_string(&line).unwrap_or_default()
}

fn left(limit: u64, account: &Account) -> u64 {
    limit.saturating_sub(account.spent).saturating_sub(account.held)
}

/// The end of the block that `spent` lies in: about 1 % of the budget, at most 256 vectors.
fn round_up(spent: u64, limit: u64) -> u64 {
    let block = (limit / 100).clamp(1, LARGEST_BLOCK);
    spent.next_multiple_of(block).min(limit).max(spent)
}

#[cfg(test)]
mod tests;
