//! A TCP proxy that adds a round trip: bytes are held back by half of it on each way, in order, and never changed.
//!
//! Each direction has a reader and a writer thread with a queue between: so bandwidth stays what it was, and only time is added.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use crate::failure::{Failure, Result};
use crate::schedule::duration;

/// Pieces that one direction may hold back; with 64 kB each this is 64 MB.
const HELD_MAX: usize = 1_024;
const PIECE: usize = 64 * 1_024;

/// Options of `proxy`.
#[derive(Args, Debug)]
pub(crate) struct ProxyArgs {
    /// Where to listen
    #[arg(long, value_name = "HOST:PORT")]
    listen: SocketAddr,
    /// Where to connect to; a broker must advertise the address of the proxy on that listener
    #[arg(long, value_name = "HOST:PORT")]
    to: SocketAddr,
    /// Round trip to add
    #[arg(long, value_parser = duration, value_name = "TIME")]
    rtt: Duration,
}

/// Runs until the process is ended.
pub(crate) fn run(args: &ProxyArgs) -> Result<()> {
    let listener = TcpListener::bind(args.listen)
        .map_err(|e| Failure::io(format!("{} cannot be listened on", args.listen), &e))?;
    serve(&listener, args.to, args.rtt);
    Ok(())
}

/// Starts a proxy on a thread of its own, which lives as long as the process.
pub(crate) fn start(listener: TcpListener, to: SocketAddr, rtt: Duration) {
    thread::spawn(move || serve(&listener, to, rtt));
}

fn serve(listener: &TcpListener, to: SocketAddr, rtt: Duration) {
    for client in listener.incoming().flatten() {
        // A target that is away is what a client would see without us: its connection closes.
        if let Ok(server) = TcpStream::connect(to) {
            let _ = join(&client, &server, rtt / 2);
        }
    }
}

fn join(client: &TcpStream, server: &TcpStream, delay: Duration) -> std::io::Result<()> {
    for (from, into) in [(client, server), (server, client)] {
        from.set_nodelay(true)?;
        let (from, into) = (from.try_clone()?, into.try_clone()?);
        let (held, due) = sync_channel(HELD_MAX);
        thread::spawn(move || read(from, &held, delay));
        thread::spawn(move || write(into, &due));
    }
    Ok(())
}

fn read(mut from: TcpStream, held: &SyncSender<(Instant, Vec<u8>)>, delay: Duration) {
    let mut piece = vec![0; PIECE];
    while let Ok(length) = from.read(&mut piece) {
        if length == 0
            || held
                .send((Instant::now() + delay, piece[..length].to_vec()))
                .is_err()
        {
            break;
        }
    }
}

fn write(mut into: TcpStream, due: &Receiver<(Instant, Vec<u8>)>) {
    // SAFETY: changes this thread's timer slack and nothing else, so that a delay is not 50 us longer than asked for.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
    while let Ok((at, piece)) = due.recv() {
        thread::sleep(at.saturating_duration_since(Instant::now()));
        if into.write_all(&piece).is_err() {
            break;
        }
    }
    // The other side ended: what was held back has gone out, the end follows it.
    let _ = into.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends back what it gets, behind a proxy with this round trip.
    fn echo_behind(rtt: Duration) -> TcpStream {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = server.local_addr().unwrap();
        thread::spawn(move || {
            let (mut peer, _) = server.accept().unwrap();
            let mut back = peer.try_clone().unwrap();
            let _ = std::io::copy(&mut peer, &mut back);
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        start(listener, to, rtt);
        TcpStream::connect(address).unwrap()
    }

    #[test]
    fn a_question_waits_for_the_round_trip() {
        let mut client = echo_behind(Duration::from_millis(30));
        for _ in 0..3 {
            let asked = Instant::now();
            client.write_all(b"ping").unwrap();
            client.read_exact(&mut [0; 4]).unwrap();
            assert!(
                asked.elapsed() >= Duration::from_millis(30),
                "{:?}",
                asked.elapsed()
            );
        }
    }

    #[test]
    fn a_long_answer_comes_back_in_order_and_is_delayed_once_not_per_piece() {
        let mut client = echo_behind(Duration::from_millis(40));
        let sent: Vec<u8> = (0..4_000_000u32).map(|n| (n % 251) as u8).collect();
        let asked = Instant::now();
        let (mut out, copy) = (client.try_clone().unwrap(), sent.clone());
        let writer = thread::spawn(move || out.write_all(&copy).unwrap());
        let mut back = vec![0; sent.len()];
        client.read_exact(&mut back).unwrap();
        writer.join().unwrap();
        assert_eq!(back, sent);
        let pieces = sent.len() / PIECE;
        assert!(
            asked.elapsed() < Duration::from_millis(40) * pieces as u32 / 2,
            "{:?}",
            asked.elapsed()
        );
    }
}
