// A Kinesis on loopback: kinesalite, one of its faults mended, with faults on demand.
//
//   POST /faults   a JSON list of {"action": "GetRecords", "code": "ExpiredIteratorException", "status": 400, "times": 3}:
//                  the next so many requests of the action are answered so
//                  instead of a code: "retention": 0 says so many hours of a stream, "without": "shardId-000000000000" leaves a
//                  shard out of a list, "behind": 5000 says with records that so many milliseconds are behind them
//   GET /counts    how often each action was asked for
//
// A request of the access key `wrong` is answered with UnrecognizedClientException, one of `denied` with AccessDeniedException.
// It is an STS too: AssumeRole gives the key `assumed`, which is taken with its session token alone; a role whose name is
// `forbidden` is refused.
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

// Lets a planted fault change what kinesalite answers.
function changed (res, fault) {
  const { writeHead, end } = res
  let head = []
  res.writeHead = (...all) => { head = all; return res }
  res.end = body => {
    const answer = JSON.parse(String(body || '{}'))
    if (fault.retention !== undefined) answer.StreamDescriptionSummary.RetentionPeriodHours = fault.retention
    if (fault.behind !== undefined) answer.MillisBehindLatest = fault.behind
    if (fault.without) answer.Shards = answer.Shards.filter(shard => shard.ShardId !== fault.without)
    const text = JSON.stringify(answer)
    res.removeHeader('x-amz-crc32')
    res.setHeader('Content-Length', Buffer.byteLength(text))
    const [status, headers] = head.length ? head : [res.statusCode]
    writeHead.call(res, status, { ...headers, 'Content-Length': Buffer.byteLength(text) })
    end.call(res, text)
  }
}

function role (req, res, key) {
  let body = ''
  req.on('data', part => { body += part })
  req.on('end', () => {
    const asked = new URLSearchParams(body)
    const arn = asked.get('RoleArn') || ''
    counts.AssumeRole = (counts.AssumeRole || 0) + 1
    let refusal = null
    if (key === 'wrong') refusal = 'InvalidClientTokenId'
    if (arn.endsWith('/forbidden')) refusal = 'AccessDenied'
    const expires = new Date(Date.now() + 3600000).toISOString()
    const text = refusal
      ? `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${refusal}</Code>` +
        `<Message>planted: ${refusal}</Message></Error><RequestId>r</RequestId></ErrorResponse>`
      : '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>' +
        `<AccessKeyId>assumed</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>token of ${asked.get('RoleSessionName')}</SessionToken>` +
        `<Expiration>${expires}</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>a:b</AssumedRoleId><Arn>${arn}</Arn></AssumedRoleUser>` +
        '</AssumeRoleResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></AssumeRoleResponse>'
    res.writeHead(refusal ? 403 : 200, { 'Content-Type': 'text/xml', 'Content-Length': Buffer.byteLength(text) })
    res.end(text)
  })
}

function answer (req, res) {
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
  const key = /Credential=([^/]*)/.exec(req.headers.authorization || '')
  if (!req.headers['x-amz-target']) return role(req, res, key && key[1])
  const action = String(req.headers['x-amz-target']).split('.')[1]
  counts[action] = (counts[action] || 0) + 1
  const fault = faults.find(fault => fault.action === action && fault.times > 0)
  let refusal = null
  if (key && key[1] === 'wrong') refusal = [400, 'UnrecognizedClientException']
  if (key && key[1] === 'denied') refusal = [400, 'AccessDeniedException']
  if (key && key[1] === 'assumed' && !String(req.headers['x-amz-security-token']).startsWith('token of ')) {
    refusal = [400, 'UnrecognizedClientException']
  }
  if (fault) {
    fault.times -= 1
    if (fault.code) refusal = [fault.status || 400, fault.code]
    else changed(res, fault)
  }
  if (!refusal) return serve(req, res)
  req.resume()
  req.on('end', () => refuse(res, ...refusal))
}

const server = http.createServer(answer)
server.keepAliveTimeout = 60000
server.listen(Number(process.argv[2]), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}`)
})
if (!process.stdin.isTTY) process.stdin.on('end', () => process.exit(0)).resume()
