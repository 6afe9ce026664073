//! Elements of requests and responses as they pass a relay, and answers that are given to other vectors.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::ops::Range;

use tiresias_client::oip;
use tiresias_keys::Digest;

use super::relay::Seen;
use crate::gateway::http::Reply;

/// Where the elements of a body lie, behind their lengths.
fn elements(body: &[u8], header_length: usize) -> Vec<Range<usize>> {
    let (mut at, mut found) = (header_length, Vec::new());
    while at < body.len() {
        let length = u32::from_le_bytes(body[at..at + 4].try_into().unwrap()) as usize;
        found.push(at + 4..at + 4 + length);
        at += 4 + length;
    }
    found
}

/// The elements of a request.
pub(crate) fn request_elements(seen: &Seen) -> Vec<&[u8]> {
    let name = format!("{}: ", oip::HEADER_LENGTH);
    let length = seen.head.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap();
    elements(&seen.body, length).into_iter().map(|range| &seen.body[range]).collect()
}

/// Has the answer to vector `from(i)` stand for vector i, with a frame that is right in everything.
pub(crate) fn rearrange(seen: &Seen, reply: &mut Reply, from: impl Fn(usize, usize) -> usize) {
    let length = reply.header(oip::HEADER_LENGTH).unwrap().parse().unwrap();
    let (ranges, old) = (elements(&reply.body, length), reply.body.clone());
    for (at, (range, request)) in ranges.iter().zip(request_elements(seen)).enumerate() {
        let mut element = old[ranges[from(at, ranges.len())].clone()].to_vec();
        let end = element.len() - 33;
        element[40..72].copy_from_slice(Digest::of(&request[..request.len() - 33]).as_bytes());
        let digest = Digest::of(&element[..end]);
        element[end..end + 32].copy_from_slice(digest.as_bytes());
        reply.body[range.clone()].copy_from_slice(&element);
    }
}
