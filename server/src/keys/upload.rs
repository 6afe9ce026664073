//! A key on its way in: bytes go to a file and through SHA-256, and only the whole is decoded.

use std::io::{self, Read as _, Seek as _, Write as _};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use tiresias_keys::{BootstrapParameters, Error, EvaluationKey, KeyId};

use super::{storage, store::Store};
use crate::error::ApiError;

pub(crate) struct Upload {
    file: NamedTempFile,
    id: KeyId,
    hash: Sha256,
    header: Vec<u8>,
    /// Bytes that the body declares and that came.
    declared: usize,
    received: usize,
}

impl Upload {
    /// For a body of `declared` bytes.
    pub(super) fn new(store: &Store, id: KeyId, declared: usize) -> io::Result<Self> {
        let file = store.incoming()?;
        Ok(Self { file, id, hash: Sha256::new(), header: Vec::with_capacity(8), declared, received: 0 })
    }

    /// Takes the next bytes. Refused as soon as the header shows that this is no key of the declared length.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(), ApiError> {
        self.received += bytes.len();
        if self.received > self.declared {
            return Err(ApiError::IncompleteBody);
        }
        let missing = 8 - self.header.len();
        if missing > 0 {
            self.header.extend(bytes.iter().take(missing));
            if self.header.len() == 8 {
                self.parameters()?;
            }
        }
        self.hash.update(bytes);
        self.file.write_all(bytes).map_err(|error| storage(&error))
    }

    /// What the header says.
    fn parameters(&self) -> Result<&'static BootstrapParameters, ApiError> {
        let header = self.header.first_chunk::<8>().ok_or(ApiError::IncompleteBody)?;
        let parameters = EvaluationKey::expected(header).map_err(ApiError::MalformedKey)?;
        let expected = EvaluationKey::encoded_len(parameters);
        if expected != self.declared {
            let error = Error::Length { what: "evaluation key", got: self.declared, expected };
            return Err(ApiError::MalformedKey(error));
        }
        Ok(parameters)
    }

    /// Checks the length of the whole and its name.
    pub(super) fn check_name(&mut self) -> Result<(), ApiError> {
        if self.received != self.declared {
            return Err(ApiError::IncompleteBody);
        }
        self.parameters()?;
        match *self.id.as_bytes() == <[u8; 32]>::from(self.hash.finalize_reset()) {
            true => Ok(()),
            false => Err(ApiError::WrongKeyId),
        }
    }

    /// Checks that the whole decodes.
    pub(super) fn decode(&self) -> Result<&'static BootstrapParameters, ApiError> {
        let parameters = self.parameters()?;
        let mut bytes = Vec::with_capacity(self.declared);
        let mut file = self.file.as_file();
        let read = file.rewind().and_then(|()| file.take(self.declared as u64).read_to_end(&mut bytes));
        read.map_err(|error| storage(&error))?;
        EvaluationKey::from_bytes(&bytes, parameters).map_err(ApiError::MalformedKey)?;
        Ok(parameters)
    }

    pub(super) fn into_parts(self) -> (NamedTempFile, KeyId) {
        (self.file, self.id)
    }
}
