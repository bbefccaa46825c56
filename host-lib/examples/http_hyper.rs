//! An HTTP server with hyper over a Ferrule NIC: hyper knows nothing of it, tokio only that its sockets have descriptors.
//!
//!     FERRULE_DEVICE=vfio-user:/tmp/nic.sock FERRULE_ADDRESS=10.0.0.2/24 cargo run --features tokio --example http_hyper -- 0.0.0.0:80
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use ferrule::tokio::TcpListener;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;

/// What is at `/`.
pub(crate) const PAGE: &str = "Hello from a NIC written in Rust.\n";

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => (StatusCode::OK, Bytes::from_static(PAGE.as_bytes())),
        (&Method::POST, "/echo") => match request.into_body().collect().await {
            Ok(body) => (StatusCode::OK, body.to_bytes()),
            Err(_) => (StatusCode::BAD_REQUEST, Bytes::new()),
        },
        _ => (StatusCode::NOT_FOUND, Bytes::from_static(b"not here\n")),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    Ok(response)
}

/// Serves connections as they come.
pub(crate) async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, peer) = listener.accept().await?;
        tokio::spawn(async move {
            let connection = http1::Builder::new();
            let served = connection.serve_connection(TokioIo::new(stream), service_fn(answer));
            if let Err(e) = served.await {
                eprintln!("{peer}: {e}");
            }
        });
    }
}

#[allow(dead_code)] // The test of this example has a main of its own.
fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let address: SocketAddr = (address.as_deref().unwrap_or("0.0.0.0:80").parse())
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address)?;
        println!("http://{}/", listener.local_addr()?);
        serve(listener).await
    })
}
