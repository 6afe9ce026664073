/// Why a secret key could not be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system gave no entropy.
    #[error("the operating system gave no entropy")]
    Entropy(#[from] getrandom::Error),
    /// No memory could be mapped for secrets.
    #[error("no memory could be mapped for a secret key")]
    Memory,
    /// Plaintexts that do not have the request's shape.
    #[error("a request takes one plaintext polynomial of the parameter set for each of its ciphertexts")]
    Plaintext,
    /// No proof was found in very many attempts: what is proved is not short.
    #[error("no proof that a secret is known could be made")]
    Proof,
    /// What does not go together in a joint sum.
    #[error(transparent)]
    Joint(#[from] tiresias_keys::Error),
    /// Exported key bytes of the wrong length.
    #[error("exported key bytes have the wrong length")]
    Length,
}
