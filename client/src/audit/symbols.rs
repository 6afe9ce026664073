//! What a program's symbol table says that it can do. A program without one says nothing, which is no answer.

use object::{Object as _, ObjectSymbol as _};

/// Code that a gateway must not have: that of the secret key, and what the scheme's own library calls the same.
pub const FORBIDDEN: [&str; 5] =
    [SECRET_KEY, "GlweSecretKey", "LweSecretKey", "decrypt_glwe_ciphertext", "decrypt_lwe_ciphertext"];

/// The crate of the secret key. The clinic's program has it: this is what the same search must find there.
pub const SECRET_KEY: &str = "tiresias_secret_key";

/// What every program of ours that computes has: a table without it is not the whole one.
pub const COMPUTES: &str = "tiresias_circuits";

/// Programs have more names than this.
pub const FEWEST: usize = 1000;

/// The names in a program, as the compiler wrote them: crates and functions stand in them.
#[derive(Debug, Clone)]
pub struct Symbols {
    names: Vec<String>,
}

/// A file whose symbols cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the file is no ELF program: its symbols cannot be read")]
pub struct NoProgram;

impl Symbols {
    /// Reads the names of an ELF program.
    pub fn read(program: &[u8]) -> Result<Self, NoProgram> {
        let file = object::File::parse(program).map_err(|_| NoProgram)?;
        let all = file.symbols().chain(file.dynamic_symbols());
        let names = all.filter_map(|symbol| symbol.name().ok().filter(|name| !name.is_empty()));
        Ok(Self { names: names.map(str::to_owned).collect() })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// The names that have `part` in them.
    pub fn with<'a>(&'a self, part: &'a str) -> impl Iterator<Item = &'a str> {
        self.names.iter().map(String::as_str).filter(move |name| name.contains(part))
    }

    /// Whether this is a whole table of one of our programs, so that what is not in it is not in the program.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.count() >= FEWEST && self.with(COMPUTES).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn this_program_has_the_secret_key_and_its_symbols_say_so() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let symbols = Symbols::read(&program).unwrap();
        assert!(symbols.is_whole() && symbols.with(SECRET_KEY).next().is_some());
        assert_eq!(symbols.with("no_such_name_anywhere").count(), 0);
    }

    #[test]
    fn what_is_no_program_is_refused() {
        for bytes in [b"".as_slice(), b"#!/bin/sh\n", &[0; 4096], b"\x7fELF\x02\x01\x01"] {
            assert_eq!(Symbols::read(bytes).unwrap_err(), NoProgram);
        }
    }
}
