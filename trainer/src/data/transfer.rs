//! One file over HTTP, going on where an earlier transfer was cut.

use std::fs::OpenOptions;
use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use ureq::Agent;
use ureq::http::{Response, header};

/// The most bytes of one file that are taken.
const MAX_BYTES: u64 = 2 << 30;
/// How often a transfer is taken up again that was cut after some progress.
const MAX_ATTEMPTS: usize = 20;

/// Why an attempt failed, and whether the same address should be asked again.
struct Failure {
    reason: String,
    again: bool,
}

impl Failure {
    fn last(reason: impl ToString) -> Self {
        Self { reason: reason.to_string(), again: false }
    }
}

/// Completes a partial file from an address. On failure the file keeps what has arrived.
///
/// # Errors
///
/// One sentence that says why the address did not give the file.
pub(super) fn fetch(url: &str, part: &Path) -> Result<(), String> {
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .accept_encoding("identity")
        .timeout_resolve(Some(Duration::from_secs(20)))
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .timeout_per_read(Some(Duration::from_secs(60)))
        .build()
        .into();
    let bar = progress(url);
    let mut attempts = 1;
    let outcome = loop {
        match attempt(&agent, url, part, &bar) {
            Err(Failure { again: true, .. }) if attempts < MAX_ATTEMPTS => attempts += 1,
            Err(Failure { reason, .. }) => break Err(reason),
            Ok(()) => break Ok(()),
        }
    };
    bar.finish_and_clear();
    outcome
}

fn attempt(agent: &Agent, url: &str, part: &Path, bar: &ProgressBar) -> Result<(), Failure> {
    let have = std::fs::metadata(part).map_or(0, |m| m.len());
    let mut request = agent.get(url);
    if have > 0 {
        request = request.header(header::RANGE, format!("bytes={have}-"));
    }
    let mut response = request.call().map_err(Failure::last)?;
    let status = response.status();
    let start = match status.as_u16() {
        200 => 0,
        206 if range(&response).is_some_and(|(first, _)| first == Some(have)) => have,
        416 if range(&response) == Some((None, Some(have))) => return Ok(()),
        206 | 416 if have > 0 => {
            std::fs::remove_file(part).map_err(Failure::last)?;
            return Err(Failure {
                reason: "the server cannot go on with what is there".into(),
                again: true,
            });
        }
        _ => return Err(Failure::last(format!("the server answers {status}"))),
    };

    let expected = response.body().content_length().map(|length| start.saturating_add(length));
    if expected.is_some_and(|length| length > MAX_BYTES) {
        return Err(Failure::last(format!("the file is larger than {MAX_BYTES} bytes")));
    }
    bar.set_length(expected.unwrap_or(0));
    bar.set_position(start);
    let mut file = OpenOptions::new()
        .create(true)
        .append(start > 0)
        .write(true)
        .truncate(start == 0)
        .open(part)
        .map_err(Failure::last)?;
    let mut body = response.body_mut().with_config().limit(MAX_BYTES - start).reader();
    let mut length = start;
    let mut buffer = vec![0; 64 << 10];
    let cut = loop {
        match body.read(&mut buffer) {
            Ok(0) => break "the connection was closed".into(),
            Ok(n) => {
                file.write_all(&buffer[..n]).map_err(Failure::last)?;
                length += n as u64;
                bar.set_position(length);
            }
            Err(error) => break error.to_string(),
        }
    };
    file.sync_all().map_err(Failure::last)?;
    match expected {
        Some(expected) if length != expected => Err(Failure {
            reason: format!("the transfer was cut at {length} of {expected} bytes: {cut}"),
            again: length > start,
        }),
        _ => Ok(()),
    }
}

/// The first byte and the full length that a `Content-Range` names.
fn range<B>(response: &Response<B>) -> Option<(Option<u64>, Option<u64>)> {
    let value = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (bytes, length) = value.strip_prefix("bytes ")?.split_once('/')?;
    let first = bytes.split_once('-').and_then(|(first, _)| first.parse().ok());
    Some((first, length.parse().ok()))
}

/// A bar on a terminal, nothing elsewhere.
fn progress(url: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(
        "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar());
    let name = url.rsplit('/').next().unwrap_or(url).to_owned();
    ProgressBar::new(0).with_style(style).with_message(name)
}
