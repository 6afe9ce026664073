//! Reports of a diagnosis for the people who read and file it: HTML, FHIR R4, DICOM SR.
//!
//! What this crate never does: it opens no connection, holds no key, and decides nothing.
#![forbid(unsafe_code)]
