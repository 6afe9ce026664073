//! What the clinic reads: responses of a gateway, and scans.

use tiresias_client::oip;
use tiresias_scan::ScanFile;

/// The length of the JSON part in two bytes, and a body.
pub(crate) fn response_body(data: &[u8]) {
    let Some((length, body)) = data.split_first_chunk::<2>() else { return };
    let lengths = [Some(usize::from(u16::from_le_bytes(*length))), oip::find_header_length(body).ok()];
    for (length, name) in
        lengths.into_iter().flatten().flat_map(|length| [(length, "scores"), (length, "label")])
    {
        if let Ok(answer) = oip::read_response(body, length, name) {
            let bytes: usize = answer.elements.iter().map(Vec::len).sum();
            assert!(bytes <= body.len(), "elements are parts of the body");
        }
    }
}

pub(crate) fn scan(data: &[u8]) {
    let Ok(file) = ScanFile::from_bytes(data) else { return };
    let _ = (file.kind(), file.study());
    if file.frames() > 0
        && let Ok(scan) = file.frame(0)
    {
        assert_eq!(scan.values().len(), scan.height() * scan.width() * scan.channels());
        let _ = scan.picture(scan.window());
    }
}
