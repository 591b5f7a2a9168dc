use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What a server does with a path.
#[derive(Clone)]
pub(crate) enum Answer {
    /// Sends it, from the first byte of a `Range` on.
    File(Vec<u8>),
    /// Sends this many bytes of it and hangs up, once; then as [`Answer::File`].
    CutOnce(usize, Vec<u8>),
    /// Sends all of it, whatever the `Range`.
    NoRange(Vec<u8>),
}

/// An HTTP server on a port of its own, which lives as long as the test's process.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn start(answers: impl IntoIterator<Item = (&'static str, Answer)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/set/", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        let mut answers: HashMap<&str, Answer> = answers.into_iter().collect();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that hangs up is the client's affair.
                let _ = serve(stream, &mut answers, &log);
            }
        });
        Self { url, requests }
    }

    /// The requests so far, each as `NAME` or `NAME from BYTE`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    answers: &mut HashMap<&str, Answer>,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let name = request.split(' ').nth(1).unwrap_or_default().trim_start_matches("/set/").to_owned();
    let mut from = None;
    for line in lines {
        let line = line?.to_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse::<usize>().ok();
        }
        if line.is_empty() {
            break;
        }
    }
    log.lock().unwrap().push(from.map_or(name.clone(), |from| format!("{name} from {from}")));

    let Some(answer) = answers.get_mut(name.as_str()) else {
        return write!(
            stream,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    };
    let (content, cut) = match answer {
        Answer::CutOnce(cut, content) => (content.clone(), Some(*cut)),
        Answer::File(content) => (content.clone(), None),
        Answer::NoRange(content) => {
            from = None;
            (content.clone(), None)
        }
    };
    if cut.is_some() {
        *answer = Answer::File(content.clone());
    }
    let total = content.len();
    let (status, start) = match from {
        None => ("200 OK".to_owned(), 0),
        Some(from) if from >= total => {
            return write!(
                stream,
                "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */{total}\r\n\
                 Content-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        Some(from) => {
            let last = total - 1;
            (format!("206 Partial Content\r\nContent-Range: bytes {from}-{last}/{total}"), from)
        }
    };
    let length = total - start;
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    stream.write_all(&content[start..cut.unwrap_or(total)])
}
