//! Shares of an opening are sealed to the clinics (age, X25519), so that the gateway, which carries them, learns no total.

use std::io::{Read as _, Write as _};

use age::{Decryptor, Encryptor, x25519};

/// Seals bytes to all of these. `None` where there is nobody.
pub(super) fn seal(plain: &[u8], recipients: &[x25519::Recipient]) -> Option<Vec<u8>> {
    let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor = Encryptor::with_recipients(recipients).ok()?;
    let mut sealed = Vec::with_capacity(plain.len() + 4096);
    let mut writer = encryptor.wrap_output(&mut sealed).ok()?;
    writer.write_all(plain).ok()?;
    writer.finish().ok()?;
    Some(sealed)
}

/// What was sealed to this identity, at most `limit` bytes of it.
pub(super) fn unseal(sealed: &[u8], identity: &x25519::Identity, limit: usize) -> Option<Vec<u8>> {
    let decryptor = Decryptor::new_buffered(sealed).ok()?;
    let reader = decryptor.decrypt(std::iter::once(identity as &dyn age::Identity)).ok()?;
    let mut plain = Vec::new();
    reader.take(limit as u64 + 1).read_to_end(&mut plain).ok()?;
    (plain.len() <= limit).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_it_is_sealed_to_open_it_and_nobody_else() {
        let identities: Vec<x25519::Identity> = (0..4).map(|_| x25519::Identity::generate()).collect();
        let recipients: Vec<x25519::Recipient> =
            identities[..3].iter().map(x25519::Identity::to_public).collect();
        let sealed = seal(b"a share", &recipients).unwrap();
        for identity in &identities[..3] {
            assert_eq!(unseal(&sealed, identity, 7).unwrap(), b"a share");
            assert_eq!(unseal(&sealed, identity, 6), None, "longer than it may be");
        }
        assert_eq!(unseal(&sealed, &identities[3], 7), None);
        let mut damaged = sealed.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(unseal(&damaged, &identities[0], 7), None);
        assert_eq!(seal(b"a share", &[]), None);
    }
}
