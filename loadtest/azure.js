// An Azure Blob Storage on loopback: Azurite, and in it the container `shop`.
'use strict'
const crypto = require('crypto')
const http = require('http')
const net = require('net')

// The account that Azurite documents: it is no secret.
const ACCOUNT = 'devstoreaccount1'
const KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='

const wished = process.argv[2]

function freePort () {
  if (Number(wished)) return Promise.resolve(Number(wished))
  return new Promise(resolve => {
    const probe = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address()
      probe.close(() => resolve(port))
    })
  })
}

// The shared key of https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key.
function makeContainer (port, name) {
  const date = new Date().toUTCString()
  const version = '2021-08-06'
  const signed = `PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:${date}\nx-ms-version:${version}\n/${ACCOUNT}/${ACCOUNT}/${name}\nrestype:container`
  const signature = crypto.createHmac('sha256', Buffer.from(KEY, 'base64')).update(signed).digest('base64')
  return new Promise((resolve, reject) => {
    const request = http.request({
      host: '127.0.0.1',
      port,
      method: 'PUT',
      path: `/${ACCOUNT}/${name}?restype=container`,
      headers: { 'x-ms-date': date, 'x-ms-version': version, Authorization: `SharedKey ${ACCOUNT}:${signature}`, 'Content-Length': 0 },
    }, answer => {
      answer.resume()
      answer.statusCode === 201 ? resolve() : reject(new Error(`the container ${name}: ${answer.statusCode}`))
    })
    request.on('error', reject).end()
  })
}

freePort().then(port => {
  // Azurite is a command and no library: it is given its arguments as one, and says on the console that it listens. In this
  // process, so that it ends with it however that ends.
  process.argv.splice(2, Infinity,
    '--blobHost', '127.0.0.1', '--blobPort', String(port), '--inMemoryPersistence', '--disableTelemetry', '--skipApiVersionCheck', '--silent')
  const say = console.log
  console.log = said => {
    if (!String(said).includes('successfully listens')) return
    makeContainer(port, 'shop')
      .then(() => say(`http://127.0.0.1:${port}`))
      .catch(error => { console.error(`azure.js: ${error.message}`); process.exit(1) })
  }
  require('azurite/dist/src/blob/main')
  if (!process.stdin.isTTY) process.stdin.on('end', () => process.exit(0)).resume()
})
