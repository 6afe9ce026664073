//! Nothing of a scan, its identifiers, its features or the keys reaches the gateway: a DICOM scan of canaries goes through
//! `tiresias infer --scan` to a real gateway, and they are looked for in every form on the wire, inside TLS, in the
//! gateway's memory, in its files, its log and its metrics. The same search finds them in the client's memory, and in the
//! gateway's once they are sent there on purpose.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "../../server/tests/common/mod.rs"]
mod gateway;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use common::{
    Ended, and,
    relay::{Act, Backend, Bytes, Requests, raw},
    start, through, tiresias,
};
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use gateway::{Gateway, HANG, Setup, gateway_command, http::head, program};
use tiresias_backbone::Backbone;
use tiresias_circuits::scores;
use tiresias_client::{
    Model,
    audit::{Canaries, Found, Search, memory},
};
use tiresias_keys::parameters::RESIDUE_BITS;
use tiresias_scan::ScanFile;

/// 256 features of a picture of 16 x 16, not pooled.
const CARD: &str = "size = [16, 16]\nlayout = \"nchw\"\nchannels = \"rgb\"\nrange = [0.0, 1.0]\n";

/// What identifies the patient. UIDs are digits and dots.
const FILE: &str = "canary-file-5e81d0";
const NAME: &str = "CANARYFAMILY^CANARYGIVEN";
const PATIENT: &str = "CANARY-ID-90417";
const ACCESSION: &str = "CANARY-AC-33186";
const STUDY: &str = "2.25.118059211830427";
const INSTANCE: &str = "2.25.990127745103386";

/// What the client must be seen to have while it waits, or the search sees nothing.
const IN_THE_CLIENT: [(&str, &str); 9] = [
    ("file name", "UTF-8"),
    ("patient's family name", "UTF-8"),
    ("patient's id", "UTF-8"),
    ("accession number", "UTF-8"),
    ("study", "UTF-8"),
    ("instance", "UTF-8"),
    ("pixels as shown", "f32, little endian"),
    ("features", "f64, little endian"),
    ("key", "key bits, packed"),
];

const HEADER_LENGTH: &str = "inference-header-content-length";

const SIDE: usize = 32;

/// Pixels of 12 bits without order (splitmix64), the same in every run.
fn pixels(seed: u64) -> Vec<u16> {
    let pixel = |at: u64| {
        let mut word = (seed << 32 | at).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word >> 52) as u16
    };
    (0..(SIDE * SIDE) as u64).map(pixel).collect()
}

/// A DICOM file of such pixels, with these identifiers: patient's name and id, accession number, study and instance.
fn dicom(seed: u64, [name, patient, accession, study, instance]: [&str; 5]) -> Vec<u8> {
    let mut object = InMemDicomObject::new_empty();
    let side = SIDE as u16;
    for (tag, vr, value) in [
        (tags::SOP_CLASS_UID, VR::UI, PrimitiveValue::from(uids::CT_IMAGE_STORAGE)),
        (tags::SOP_INSTANCE_UID, VR::UI, PrimitiveValue::from(instance)),
        (tags::ACCESSION_NUMBER, VR::SH, PrimitiveValue::from(accession)),
        (tags::PATIENT_NAME, VR::PN, PrimitiveValue::from(name)),
        (tags::PATIENT_ID, VR::LO, PrimitiveValue::from(patient)),
        (tags::STUDY_INSTANCE_UID, VR::UI, PrimitiveValue::from(study)),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, PrimitiveValue::from("MONOCHROME2")),
        (tags::SAMPLES_PER_PIXEL, VR::US, 1_u16.into()),
        (tags::ROWS, VR::US, side.into()),
        (tags::COLUMNS, VR::US, side.into()),
        (tags::BITS_ALLOCATED, VR::US, 16_u16.into()),
        (tags::BITS_STORED, VR::US, 12_u16.into()),
        (tags::HIGH_BIT, VR::US, 11_u16.into()),
        (tags::PIXEL_REPRESENTATION, VR::US, 0_u16.into()),
        (tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels(seed).into())),
    ] {
        object.put(DataElement::new(tag, vr, value));
    }
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let mut bytes = Vec::new();
    object.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
    bytes
}

/// A linear head of three classes over 256 features, as a safetensors file.
fn model_head() -> Vec<u8> {
    let header = r#"{"weight":{"dtype":"F32","shape":[3,256],"data_offsets":[0,3072]},"bias":{"dtype":"F32","shape":[3],"data_offsets":[3072,3084]}}"#;
    let words = pixels(1000);
    let weights = words[..768].iter().map(|word| f32::from(*word) / 2048.0 - 1.0);
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(weights.chain([0.1, -0.2, 0.3]).flat_map(f32::to_le_bytes));
    bytes
}

/// A gateway with the head, and a clinic with the scan.
struct Stage {
    gateway: Gateway,
    scan: PathBuf,
    backbone: PathBuf,
    model: Model,
}

impl Stage {
    fn new() -> Self {
        program();
        let setup = Setup::empty().with_data();
        let path = |name: &str| setup.path(name).to_str().unwrap().to_owned();
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("backbone/tests/fixtures/flat.onnx");
        let (clinic, backbone, calibration) =
            (setup.path("clinic"), setup.path("flat.onnx"), path("features.npy"));
        fs::copy(fixture, &backbone).unwrap();
        fs::write(backbone.with_extension("toml"), CARD).unwrap();
        // The owner calibrates on other scans.
        let others = setup.path("others");
        fs::create_dir(&others).unwrap();
        for seed in 0..10 {
            fs::write(others.join(format!("{seed}.dcm")), dicom(seed, ["a", "b", "c", "1.2", "1.3"]))
                .unwrap();
        }
        let others = others.to_str().unwrap();
        tiresias(&["backbone", backbone.to_str().unwrap(), "--scan", others, "--out", &calibration]).done();
        fs::write(setup.path("head.safetensors"), model_head()).unwrap();
        let (head, repo) = (path("head.safetensors"), path("models"));
        gateway_command(&["import", &head, "--calibration", &calibration, "--name", "m", "--repo", &repo]);

        fs::create_dir(&clinic).unwrap();
        let scan = clinic.join(format!("{FILE}.dcm"));
        fs::write(&scan, dicom(77, [NAME, PATIENT, ACCESSION, STUDY, INSTANCE])).unwrap();
        let gateway = setup.start();
        let model = Model::from_card(gateway.get("/v2/models/m/config").body).unwrap();
        Self { gateway, scan, backbone, model }
    }

    /// What must not leave the clinic, as this process makes it of the same scan.
    fn canaries(&self) -> Canaries {
        let mut canaries = Canaries::new();
        for (what, text) in [
            ("file name", FILE),
            ("patient's family name", "CANARYFAMILY"),
            ("patient's given name", "CANARYGIVEN"),
            ("patient's id", PATIENT),
            ("accession number", ACCESSION),
            ("study", STUDY),
            ("instance", INSTANCE),
        ] {
            canaries.text(what, text).unwrap();
        }
        let scan = ScanFile::open(&self.scan).unwrap().frame(0).unwrap();
        let picture = scan.picture(None).unwrap();
        let row = Backbone::open(&self.backbone).unwrap().features(&picture).unwrap();
        let (card, plan) = (self.model.card(), self.model.card().plan());
        let quantized = card.quantizer().quantize(&row).unwrap().values;
        let stored: Vec<i64> = scan.values().iter().map(|value| *value as i64).collect();
        assert!(stored.iter().copied().eq(pixels(77).into_iter().map(i64::from)));
        let shown: Vec<f64> = picture.samples().iter().map(|sample| f64::from(*sample)).collect();
        let shown_bytes: Vec<i64> = shown.iter().map(|sample| (sample * 255.0).round() as i64).collect();
        canaries.integers("pixels", &stored).unwrap();
        canaries.floats("pixels as shown", &shown).unwrap();
        canaries.integers("pixels as shown", &shown_bytes).unwrap();
        canaries.floats("features", &row).unwrap();
        canaries.integers("quantized features", &quantized).unwrap();
        for plaintext in scores::encode_features(plan, &quantized).unwrap() {
            // Behind the features the polynomial is 0.
            canaries
                .residues("plaintext", &plaintext[..quantized.len().min(plaintext.len())], RESIDUE_BITS)
                .unwrap();
        }
        canaries
    }

    /// `tiresias infer` of the scan, with a report, by way of `url`.
    fn infer(&self, url: &str, report: &str) -> Vec<String> {
        let report = self.gateway.path(report);
        let arguments = through(&self.gateway.command("infer"), url);
        and(
            &arguments,
            &[
                "--scan",
                self.scan.to_str().unwrap(),
                "--backbone",
                self.backbone.to_str().unwrap(),
                "--report",
                report.to_str().unwrap(),
                "--json",
            ],
        )
    }

    /// What the gateway has in memory.
    fn gateway_memory<'a>(&self, search: &'a Search) -> Found<'a> {
        let found = memory::search(self.gateway.process(), search).unwrap();
        assert!(found.bytes() > 1 << 20, "only {} bytes of the gateway's memory were shown", found.bytes());
        found
    }
}

/// A relay that lets the gateway answer a request for inference, says so, and keeps the answer until it is told to go on.
struct Holding {
    relay: Requests,
    answered: mpsc::Receiver<()>,
    go_on: mpsc::Sender<()>,
}

impl Holding {
    fn start(gateway: &Gateway) -> Self {
        let backend = Backend::of(gateway);
        let (answers, answered) = mpsc::channel();
        let (go_on, wait) = mpsc::channel();
        let wait = Mutex::new(wait);
        let relay = Requests::start(gateway, move |seen, _| {
            if !seen.target.ends_with("/infer") {
                return Act::Forward(backend.clone());
            }
            let reply = backend.answer(&[seen.head.as_bytes(), &seen.body].concat());
            answers.send(()).unwrap();
            wait.lock().unwrap().recv_timeout(HANG).unwrap();
            Act::Reply(raw(&reply))
        });
        Self { relay, answered, go_on }
    }
}

fn nothing(found: &Found<'_>, place: &str) {
    assert!(found.is_empty(), "{place}: {:?}", found.hits().collect::<Vec<_>>());
}

#[test]
fn nothing_of_a_scan_is_in_the_gateways_memory_or_in_what_it_is_sent() {
    let stage = Stage::new();
    let holding = Holding::start(&stage.gateway);
    let (search, is_over) = (Search::new(stage.canaries()), AtomicBool::new(false));
    thread::scope(|scope| {
        // All the while the gateway's memory is looked through, again and again.
        let watch = scope.spawn(|| {
            let mut found = stage.gateway_memory(&search);
            while !is_over.load(Ordering::Relaxed) {
                found.merge(stage.gateway_memory(&search));
            }
            found
        });
        let client = start(&stage.infer(&holding.relay.url, "report.html"));
        holding.answered.recv_timeout(HANG).unwrap();

        // The answer is held: the gateway has had the request, and the client has the scan, its features and the key.
        let keys = memory::kept_out_of_dumps(client.id()).unwrap().concat();
        let mut canaries = stage.canaries();
        canaries.key("key", &keys).unwrap();
        let search = Search::new(canaries);
        let own = memory::search(client.id(), &search).unwrap();
        for (what, form) in IN_THE_CLIENT {
            let hits = || own.hits().collect::<Vec<_>>();
            assert!(
                own.has(what, form),
                "the client has its {what} as {form}, but was seen with {:?}",
                hits()
            );
        }
        nothing(&stage.gateway_memory(&search), "the gateway's memory");

        holding.go_on.send(()).unwrap();
        let ended: Ended = client.wait_with_output().unwrap().into();
        assert_eq!(ended.json().len(), 1);
        nothing(&stage.gateway_memory(&search), "the gateway's memory afterwards");
        let requests = holding.relay.seen();
        assert_eq!(requests.iter().filter(|seen| seen.target.ends_with("/infer")).count(), 1);
        for seen in requests {
            nothing(&search.bytes(seen.head.as_bytes()), "the head of a request");
            nothing(&search.bytes(&seen.body), "the body of a request");
        }
        is_over.store(true, Ordering::Relaxed);
        nothing(&watch.join().unwrap(), "the gateway's memory meanwhile");
    });
}

#[test]
fn nothing_of_a_scan_is_on_the_wire_or_in_the_gateways_files() {
    let stage = Stage::new();
    let (search, target) = (Search::new(stage.canaries()), stage.gateway.address);
    let relay = Bytes::start(move |_, _| Some(target));
    let url = format!("https://localhost:{}", relay.address.port());
    tiresias(&stage.infer(&url, "report.html")).done();
    let wire = relay.sent().concat();
    nothing(&search.bytes(&wire), "the wire");
    nothing(&search.bytes(stage.gateway.log().as_bytes()), "the log");
    nothing(&search.bytes(stage.gateway.get_metrics("/metrics").as_bytes()), "the metrics");
    let files = ["data", "models", "tls"].map(|name| stage.gateway.path(name));
    for directory in &files {
        nothing(&search.directory(directory).unwrap(), "a file of the gateway's");
    }

    // The same search finds what is there: the name that TLS asks for, the log's own name, the patient in the report.
    let mut public = Canaries::new();
    public.text("server", "localhost").unwrap();
    public.text("log", stage.gateway.log_key.as_deref().unwrap().split('+').next().unwrap()).unwrap();
    let public = Search::new(public);
    assert!(public.bytes(&wire).has("server", "UTF-8"));
    assert!(public.directory(&files[0]).unwrap().has("log", "UTF-8"));
    let report = fs::read(stage.gateway.path("report.html")).unwrap();
    assert!(search.bytes(&report).has("patient's id", "UTF-8"));
}

#[test]
fn what_is_sent_on_purpose_is_found_in_the_gateways_memory() {
    let stage = Stage::new();
    let mut canaries = stage.canaries();
    let key: Vec<u8> = pixels(5).into_iter().map(|word| (word >> 4) as u8).collect();
    canaries.key("key", &key).unwrap();
    let search = Search::new(canaries);
    nothing(&stage.gateway_memory(&search), "before");

    // Bodies that never end stay in memory. One that was read in two pieces may lie in two places, and is sent again.
    let samples = search.samples();
    let mut missing: Vec<usize> = (0..samples.len()).collect();
    let mut open = Vec::new();
    for _ in 0..10 {
        let planted: Vec<u8> = missing.iter().flat_map(|&at| samples[at].2).copied().collect();
        let length = (planted.len() + 1).to_string();
        let mut connection = stage.gateway.connect();
        let headers = [("host", "localhost"), ("content-length", length.as_str()), (HEADER_LENGTH, "8")];
        connection.write(&head("POST", "/v2/models/m/infer", &headers)).unwrap();
        connection.write(&planted).unwrap();
        open.push(connection);
        let found = stage.gateway_memory(&search);
        missing.retain(|&at| !found.has(samples[at].0, samples[at].1));
        if missing.is_empty() {
            return;
        }
    }
    let missing: Vec<_> = missing.iter().map(|&at| (samples[at].0, samples[at].1)).collect();
    unreachable!("{} of {} were not found: {missing:?}", missing.len(), samples.len());
}
