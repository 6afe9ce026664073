//! HTTP/1.1 for browsers on this machine: who asks is checked first, and nothing is cached or logged.

use std::{
    convert::Infallible,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, SET_COOKIE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tiresias_record::{Book, Store};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

use super::{
    door::{Door, Turned},
    form::Form,
    page,
};
use crate::{Error, clock, files};

/// A browser opens six.
const CONNECTIONS: usize = 32;
/// For a form.
const PATIENCE: Duration = Duration::from_secs(10);
/// For headers, and between two requests.
const IDLE: Duration = Duration::from_secs(60);
/// A reason has 500 characters.
const MAXIMUM_FORM_BYTES: usize = 64 << 10;

/// What is asked of cases.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Margins below this are low.
    pub low_margin: f64,
    /// Decisions that a rate must be of.
    pub min_cell: u64,
}

/// A page that is served.
pub struct Server {
    listener: TcpListener,
    url: String,
    room: Arc<Room>,
}

/// What requests share.
struct Room {
    door: Door,
    opened: Mutex<(Store, Book)>,
    settings: Settings,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Server(..)")
    }
}

impl Server {
    /// Errors for an address that others can reach.
    pub fn expect_loopback(address: SocketAddr) -> Result<(), Error> {
        match address.ip().is_loopback() {
            true => Ok(()),
            false => Err(Error::Usage(
                "--listen: the page is for this machine alone: 127.0.0.1 or [::1], and a port",
            )),
        }
    }

    /// Listens.
    pub async fn bind(
        address: SocketAddr,
        path: &Path,
        store: Store,
        book: Book,
        settings: Settings,
    ) -> Result<Self, Error> {
        Self::expect_loopback(address)?;
        let named = PathBuf::from(address.to_string());
        let listener = TcpListener::bind(address).await.map_err(files::at(&named))?;
        let authority = listener.local_addr().map_err(files::at(path))?.to_string();
        let (door, token) = Door::new(authority.clone())?;
        let url = format!("http://{authority}/open/{token}");
        Ok(Self { listener, url, room: Arc::new(Room { door, opened: Mutex::new((store, book)), settings }) })
    }

    /// What opens the page, once.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Answers until it is dropped.
    pub async fn run(self) -> Infallible {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let place = Arc::clone(&places).acquire_owned().await;
            let Ok((stream, peer)) = self.listener.accept().await else {
                // Out of file descriptors, mostly: wait for some to come back.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            if !peer.ip().is_loopback() {
                continue;
            }
            let room = Arc::clone(&self.room);
            tokio::spawn(async move {
                let _place = place;
                serve(stream, room).await;
            });
        }
    }
}

async fn serve(stream: TcpStream, room: Arc<Room>) {
    let service = service_fn(move |request| {
        let room = Arc::clone(&room);
        async move { Ok::<_, Infallible>(guarded(answer(request, room).await)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_headers(64)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(stream), service);
    let _ = connection.await;
}

async fn answer(request: Request<Incoming>, room: Arc<Room>) -> Response<Full<Bytes>> {
    match admit(&request, &room.door) {
        Err(turned) => return turn_away(turned),
        Ok(Some(cookie)) => return see_other("/", Some(&cookie)),
        Ok(None) => {}
    }
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let after = request.uri().query().and_then(|query| query.strip_prefix("after=")?.parse().ok());
    let after = after.unwrap_or(0);
    let number = path.strip_prefix("/case/").and_then(|number| number.parse::<u64>().ok());
    let form = match (&method, number) {
        (&Method::POST, Some(_)) => match read_form(request.into_body(), &room.door).await {
            Ok(form) => Some(form),
            Err((status, why)) => return words(status, "Not decided", why),
        },
        _ => None,
    };
    // SQLite waits for other processes, and rows take time to open.
    let answered = tokio::task::spawn_blocking(move || match (&method, path.as_str(), number) {
        (&Method::GET, "/", _) => room.list(false, after),
        (&Method::GET, "/all", _) => room.list(true, after),
        (&Method::GET, "/rates", _) => room.rates(),
        (&Method::GET, path, _) if path.starts_with("/open/") => Ok(see_other("/", None)),
        (&Method::GET, _, Some(number)) => room.case(number),
        (&Method::POST, _, Some(number)) => room.decide(number, &form.unwrap_or_default()),
        _ => Ok(words(StatusCode::NOT_FOUND, "Not here", "There is no such page.")),
    });
    match answered.await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            let status = match error {
                tiresias_record::Error::NoCase(_) => StatusCode::NOT_FOUND,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            words(status, "The record", &error.to_string())
        }
        Err(_) => words(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The record",
            "This went wrong, and nothing was decided.",
        ),
    }
}

/// Who may go on. The cookie for one who brings the token.
fn admit(request: &Request<Incoming>, door: &Door) -> Result<Option<String>, Turned> {
    if request.uri().authority().is_some() {
        return Err(Turned::OtherHost);
    }
    door.expect_ours(request.method(), request.headers())?;
    if let (&Method::GET, Some(token)) = (request.method(), request.uri().path().strip_prefix("/open/")) {
        // Loaded again by the browser that has the cookie, the address leads on.
        return match door.open(token) {
            Err(_) if door.expect_known(request.headers()).is_ok() => Ok(None),
            opened => opened.map(Some),
        };
    }
    door.expect_known(request.headers()).map(|()| None)
}

impl Room {
    /// Does something with all that is in the record now.
    fn with<T>(
        &self,
        act: impl FnOnce(&mut Store, &mut Book) -> Result<T, tiresias_record::Error>,
    ) -> Result<T, tiresias_record::Error> {
        // A thread that died left the rows that it had checked.
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let (store, book) = &mut *opened;
        book.refresh(store)?;
        act(store, book)
    }

    fn list(&self, all: bool, after: u64) -> Result<Response<Full<Bytes>>, tiresias_record::Error> {
        self.with(|_, book| Ok(respond(StatusCode::OK, page::list(book, self.settings, all, after))))
    }

    fn rates(&self) -> Result<Response<Full<Bytes>>, tiresias_record::Error> {
        self.with(|_, book| Ok(respond(StatusCode::OK, page::rates_page(book, self.settings)?)))
    }

    fn case(&self, number: u64) -> Result<Response<Full<Bytes>>, tiresias_record::Error> {
        self.with(|_, book| {
            let page = page::case(number, book.entry(number)?, self.settings, self.door.form(), None);
            Ok(respond(StatusCode::OK, page))
        })
    }

    fn decide(&self, number: u64, form: &Form) -> Result<Response<Full<Bytes>>, tiresias_record::Error> {
        self.with(|store, book| {
            let decided = match form.verdict() {
                Some(verdict) => {
                    let by = (form.by.as_str(), form.reason.as_str(), clock::seconds());
                    book.record(store, (number, form.again), verdict, by)
                        .map_err(|error| (is_forms(&error), error.to_string()))
                }
                None => Err((true, "choose what it is".to_owned())),
            };
            match decided {
                Ok(_) => Ok(see_other(&format!("/case/{number}"), None)),
                Err((is_forms, wrong)) => {
                    let status = if is_forms {
                        StatusCode::UNPROCESSABLE_ENTITY
                    } else {
                        StatusCode::SERVICE_UNAVAILABLE
                    };
                    let entry = book.entry(number)?;
                    let page =
                        page::case(number, entry, self.settings, self.door.form(), Some((form, &wrong)));
                    Ok(respond(status, page))
                }
            }
        })
    }
}

/// Whether it is for who sent the form to mend.
fn is_forms(error: &tiresias_record::Error) -> bool {
    use tiresias_record::Error as E;
    matches!(
        error,
        E::Decided(_) | E::UnknownLabel | E::SameLabel | E::NothingToAccept | E::Initials | E::Words
    )
}

async fn read_form(body: Incoming, door: &Door) -> Result<Form, (StatusCode, &'static str)> {
    let body = match timeout(PATIENCE, Limited::new(body, MAXIMUM_FORM_BYTES).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return Err((StatusCode::PAYLOAD_TOO_LARGE, "The form is longer than any of ours."));
        }
        Ok(Err(_)) => return Err((StatusCode::BAD_REQUEST, "The form broke off.")),
        Err(_) => return Err((StatusCode::REQUEST_TIMEOUT, "The form did not arrive in time.")),
    };
    match Form::read(&body) {
        Some(form) if door.is_form(&form.secret) => Ok(form),
        Some(_) => Err((StatusCode::FORBIDDEN, "This is no form of this page: open the case again.")),
        None => Err((StatusCode::BAD_REQUEST, "The form cannot be read.")),
    }
}

fn turn_away(turned: Turned) -> Response<Full<Bytes>> {
    match turned {
        Turned::OtherHost => words(
            StatusCode::MISDIRECTED_REQUEST,
            "Not here",
            "This page has another address: the one that the command printed.",
        ),
        Turned::OtherOrigin => {
            words(StatusCode::FORBIDDEN, "Not decided", "A form of another page decides nothing here.")
        }
        Turned::Stranger => words(
            StatusCode::FORBIDDEN,
            "Not yours",
            "This page is for the browser that opened the printed address, which works once. Start the command again for another one.",
        ),
    }
}

fn words(status: StatusCode, title: &str, words: &str) -> Response<Full<Bytes>> {
    respond(status, page::message(title, words))
}

fn see_other(path: &str, cookie: Option<&str>) -> Response<Full<Bytes>> {
    let mut response = respond(StatusCode::SEE_OTHER, String::new());
    for (name, value) in [(LOCATION, Some(path)), (SET_COOKIE, cookie)] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn respond(status: StatusCode, page: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(page.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

/// What every answer says to a browser.
fn guarded(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("content-security-policy"), policy),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
        (HeaderName::from_static("x-frame-options"), "DENY"),
        (HeaderName::from_static("referrer-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
