// A Kinesis on loopback: kinesalite, one of its faults mended, with faults on demand.
//
//   POST /faults   a JSON list of {"action": "GetRecords", "code": "ExpiredIteratorException", "status": 400, "times": 3}:
//                  the next so many requests of the action are answered so
//   GET /counts    how often each action was asked for
//
// A request of the access key `wrong` is answered with UnrecognizedClientException, one of `denied` with AccessDeniedException.
'use strict'
const http = require('http')
const db = require('kinesalite/db')

// An iterator AT_TIMESTAMP behind the newest record is never answered by kinesalite: it is one for what comes from then on.
const path = require.resolve('kinesalite/actions/getShardIterator')
const original = require(path)
require.cache[path].exports = (store, data, cb) => {
  if (data.ShardIteratorType !== 'AT_TIMESTAMP') return original(store, data, cb)
  store.getStream(data.StreamName, (error, stream) => {
    if (error) return cb(error)
    const shard = Number(String(data.ShardId).split('-')[1])
    const range = stream.Shards[shard]
    if (!range || data.Timestamp * 1000 > Date.now()) return original(store, data, cb)
    let found = false
    const options = { gt: db.shardIxToHex(shard), lt: db.shardIxToHex(shard + 1) }
    store.getStreamDb(data.StreamName).createReadStream(options)
      .on('data', item => { found = found || item.value.ApproximateArrivalTimestamp >= data.Timestamp })
      .on('end', () => {
        if (found) return original(store, data, cb)
        const start = db.parseSequence(range.SequenceNumberRange.StartingSequenceNumber)
        const sequence = db.stringifySequence({
          shardCreateTime: start.shardCreateTime,
          seqIx: stream._seqIx[Math.floor(shard / 5)],
          seqTime: Math.max(Math.floor(data.Timestamp * 1000), start.shardCreateTime),
          shardIx: start.shardIx,
        })
        cb(null, { ShardIterator: db.createShardIterator(data.StreamName, range.ShardId, sequence) })
      })
  })
}

const kinesalite = require('kinesalite')({
  createStreamMs: 5, updateStreamMs: 5, deleteStreamMs: 5, shardLimit: 1000,
})
const [serve] = kinesalite.listeners('request')
let faults = []
const counts = {}

function refuse (res, status, code) {
  const body = JSON.stringify({ __type: code, message: `planted: ${code}` })
  res.writeHead(status, { 'Content-Type': 'application/x-amz-json-1.1', 'x-amzn-ErrorType': code, 'Content-Length': Buffer.byteLength(body) })
  res.end(body)
}

const server = http.createServer((req, res) => {
  if (req.method === 'GET' && req.url === '/counts') {
    const body = JSON.stringify(counts)
    res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': body.length })
    return res.end(body)
  }
  if (req.url === '/faults') {
    let body = ''
    req.on('data', part => { body += part })
    req.on('end', () => {
      faults = JSON.parse(body)
      res.writeHead(200, { 'Content-Length': 0 })
      res.end()
    })
    return
  }
  const action = String(req.headers['x-amz-target']).split('.')[1]
  counts[action] = (counts[action] || 0) + 1
  const key = /Credential=([^/]*)/.exec(req.headers.authorization || '')
  const fault = faults.find(fault => fault.action === action && fault.times > 0)
  let refusal = null
  if (key && key[1] === 'wrong') refusal = [400, 'UnrecognizedClientException']
  if (key && key[1] === 'denied') refusal = [400, 'AccessDeniedException']
  if (fault) {
    fault.times -= 1
    refusal = [fault.status || 400, fault.code]
  }
  if (!refusal) return serve(req, res)
  req.resume()
  req.on('end', () => refuse(res, ...refusal))
})
server.keepAliveTimeout = 60000
server.listen(Number(process.argv[2]), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}`)
})
if (!process.stdin.isTTY) process.stdin.on('end', () => process.exit(0)).resume()
