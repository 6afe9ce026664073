//! Bytes of requests and responses (`keys/WIRE.md`). Decoding takes the expected shape, checks the exact length
//! first, then header, digest and identity, and only then reads coefficients.
#![warn(clippy::indexing_slicing)]

use crate::{
    ConfigId, Digest, EncryptedFeatures, EncryptedScores, Error, Parameters, RequestShape, ResponseGroup,
    ResponseShape, Seed, bits, joint::frames as joint, parameters::RESIDUE_BITS,
};

mod cohort;
mod evaluation_key;

/// The frame version that this crate writes and reads.
pub const VERSION: u8 = 2;

const REQUEST: &str = "request";
const RESPONSE: &str = "response";
const REQUEST_MAGIC: &[u8; 4] = b"TRSQ";
const RESPONSE_MAGIC: &[u8; 4] = b"TRSR";
const HEADER_LEN: usize = 8 + 32 + 32;
pub(crate) const TRAILER_LEN: usize = 32 + 1;
/// Every frame ends in a non-zero byte, because numpy drops trailing zero bytes of byte strings.
const END_MARK: u8 = 1;

impl RequestShape {
    /// Bytes of one encoded [`EncryptedFeatures`].
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let polynomials = self.ciphertexts + usize::from(self.carries_zero);
        HEADER_LEN + polynomials * self.polynomial_len() + TRAILER_LEN
    }

    fn polynomial_len(&self) -> usize {
        bits::packed_len(self.parameters.polynomial_words(), RESIDUE_BITS)
    }

    fn header(&self) -> [u8; 8] {
        let [a, b, c, d] = *REQUEST_MAGIC;
        let ciphertexts = self.ciphertexts as u8;
        [a, b, c, d, VERSION, self.parameters.code(), u8::from(self.carries_zero), ciphertexts]
    }
}

impl ResponseShape {
    /// Bytes of one encoded [`EncryptedScores`].
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let bodies: usize = self.group_sizes().map(|size| bits::packed_len(size, self.modulus_bits)).sum();
        HEADER_LEN + self.groups() * self.mask_len() + bodies + TRAILER_LEN
    }

    fn mask_len(&self) -> usize {
        bits::packed_len(self.parameters.polynomial_size(), self.modulus_bits)
    }

    fn header(&self) -> [u8; 8] {
        let [a, b, c, d] = *RESPONSE_MAGIC;
        let r = self.modulus_bits as u8;
        [a, b, c, d, VERSION, self.parameters.code(), u8::from(self.rerandomized), r]
    }
}

impl EncryptedFeatures {
    /// The canonical bytes: one element of the tensor `features`.
    #[must_use]
    pub fn to_bytes(&self, shape: &RequestShape) -> Vec<u8> {
        let mut out = Vec::with_capacity(shape.encoded_len());
        out.extend_from_slice(&shape.header());
        out.extend_from_slice(self.config.as_bytes());
        out.extend_from_slice(self.seed.as_bytes());
        for polynomial in self.bodies.iter().chain(&self.zero_body) {
            bits::pack(polynomial, RESIDUE_BITS, &mut out);
        }
        seal(out)
    }

    /// The digest that names an encoded request: SHA-256 of all but the trailer, as stated in it.
    #[must_use]
    pub fn digest(encoded: &[u8]) -> Digest {
        Digest::of(encoded.get(..encoded.len().saturating_sub(TRAILER_LEN)).unwrap_or_default())
    }

    /// Decodes a request for the card `config` and returns it with the digest that names it.
    pub fn from_bytes(
        bytes: &[u8],
        shape: &RequestShape,
        config: &ConfigId,
    ) -> Result<(Self, Digest), Error> {
        let mut frame = Frame::open(REQUEST, bytes, shape.encoded_len(), &shape.header())?;
        let found = ConfigId::from_bytes(frame.array()?);
        if found != *config {
            return Err(Error::ConfigId);
        }
        let seed = Seed::from_bytes(frame.array()?);
        let mut polynomial = || unpack_polynomial(frame.take(shape.polynomial_len())?, shape.parameters);
        let bodies = (0..shape.ciphertexts).map(|_| polynomial()).collect::<Result<_, _>>()?;
        let zero_body = if shape.carries_zero { Some(polynomial()?) } else { None };
        Ok((Self { config: found, seed, bodies, zero_body }, frame.digest))
    }
}

impl EncryptedScores {
    /// The canonical bytes: one element of the output tensor `scores`.
    #[must_use]
    pub fn to_bytes(&self, shape: &ResponseShape) -> Vec<u8> {
        let mut out = Vec::with_capacity(shape.encoded_len());
        out.extend_from_slice(&shape.header());
        out.extend_from_slice(self.config.as_bytes());
        out.extend_from_slice(self.request.as_bytes());
        for group in &self.groups {
            bits::pack(&group.mask, shape.modulus_bits, &mut out);
            bits::pack(&group.body, shape.modulus_bits, &mut out);
        }
        seal(out)
    }

    /// The digest of an encoded response, in the sense of [`EncryptedFeatures::digest`].
    #[must_use]
    pub fn digest(encoded: &[u8]) -> Digest {
        EncryptedFeatures::digest(encoded)
    }

    /// Decodes the answer to the request with digest `request`, evaluated under the card `config`.
    pub fn from_bytes(
        bytes: &[u8],
        shape: &ResponseShape,
        config: &ConfigId,
        request: &Digest,
    ) -> Result<Self, Error> {
        let mut frame = Frame::open(RESPONSE, bytes, shape.encoded_len(), &shape.header())?;
        if ConfigId::from_bytes(frame.array()?) != *config {
            return Err(Error::ConfigId);
        }
        if Digest::from_bytes(frame.array()?) != *request {
            return Err(Error::RequestDigest);
        }
        let groups = shape
            .group_sizes()
            .map(|size| {
                let r = shape.modulus_bits;
                let n = shape.parameters.polynomial_size();
                let mask = bits::unpack(frame.take(shape.mask_len())?, n, r)?;
                let body = bits::unpack(frame.take(bits::packed_len(size, r))?, size, r)?;
                Ok(ResponseGroup { mask, body })
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self { config: *config, request: *request, groups })
    }
}

/// Reads a packed polynomial, each residue below its prime.
pub(crate) fn unpack_polynomial(bytes: &[u8], parameters: &Parameters) -> Result<Vec<u64>, Error> {
    let residues = bits::unpack(bytes, parameters.polynomial_words(), RESIDUE_BITS)?;
    let mut parts = residues.chunks(parameters.polynomial_size()).zip(parameters.primes());
    let canonical = parts.all(|(part, prime)| part.iter().all(|residue| residue < prime));
    if canonical { Ok(residues) } else { Err(Error::NotCanonical) }
}

/// Appends the trailer: SHA-256 of everything before it, and the end mark.
pub(crate) fn seal(mut out: Vec<u8>) -> Vec<u8> {
    let digest = Digest::of(&out);
    out.extend_from_slice(digest.as_bytes());
    out.push(END_MARK);
    out
}

/// A frame whose length, header, digest and end mark are right, with a cursor behind the header.
pub(crate) struct Frame<'a> {
    rest: &'a [u8],
    digest: Digest,
}

impl<'a> Frame<'a> {
    pub(crate) fn open(
        what: &'static str,
        bytes: &'a [u8],
        expected: usize,
        header: &[u8; 8],
    ) -> Result<Self, Error> {
        if bytes.len() != expected {
            return Err(Error::Length { what, got: bytes.len(), expected });
        }
        let (found, _) = bytes.split_first_chunk::<8>().ok_or(Error::Magic(what))?;
        check_header(what, found, header)?;
        let (content, end_mark) = bytes.split_at(expected - 1);
        if end_mark != [END_MARK] {
            return Err(Error::EndMark);
        }
        let (content, stated) = content.split_last_chunk::<32>().ok_or(Error::Digest)?;
        let digest = Digest::of(content);
        if digest.as_bytes() != stated {
            return Err(Error::Digest);
        }
        Ok(Self { rest: content.get(8..).unwrap_or_default(), digest })
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(Error::NotCanonical)?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn array(&mut self) -> Result<[u8; 32], Error> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(Error::NotCanonical)?;
        self.rest = rest;
        Ok(*head)
    }
}

fn check_header(what: &'static str, found: &[u8; 8], expected: &[u8; 8]) -> Result<(), Error> {
    let [m0, m1, m2, m3, version, parameters, kind, last] = *found;
    let [e0, e1, e2, e3, e_version, e_parameters, e_kind, e_last] = *expected;
    if [m0, m1, m2, m3] != [e0, e1, e2, e3] {
        return Err(Error::Magic(what));
    }
    if version != e_version {
        return Err(Error::Version { got: version, expected: e_version });
    }
    let last_name = match what {
        REQUEST => "number of ciphertexts",
        RESPONSE => "response modulus",
        joint::KEY_SHARE | joint::SUBMISSION | joint::SUM | joint::SHARE => "number of blocks",
        _ => "width of a body",
    };
    for (name, found, expected) in [
        ("parameter set", parameters, e_parameters),
        ("privacy kind", kind, e_kind),
        (last_name, last, e_last),
    ] {
        if found != expected {
            return Err(Error::Header(name));
        }
    }
    Ok(())
}
