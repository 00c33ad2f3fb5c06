// The other end of bench/udx_peer.cc by udx-native: node udx_peer.cjs LOCAL_PORT PEER BYTES (PEER: PORT or IP:PORT).
// Told to stop (SIGTERM), it prints the same at once. `by_second` holds [second of Unix time, bytes that came in it].
// ORCHARD_INTEROP names the folder with node_modules (tests/interop).
const path = require('path')
const UDX = require(path.join(process.env.ORCHARD_INTEROP || path.join(__dirname, '../tests/interop'), 'node_modules/udx-native'))

const [local, bytes] = [process.argv[2], process.argv[4]].map(Number)
const [host, remote] = process.argv[3].includes(':') ? [process.argv[3].split(':')[0], Number(process.argv[3].split(':')[1])] : ['127.0.0.1', Number(process.argv[3])]
const block = Buffer.alloc(256 * 1024)
for (let i = 0; i < block.length; i++) block[i] = (i * 7 + (i >> 10)) & 255

const udx = new UDX()
const socket = udx.createSocket()
socket.bind(local, host === '127.0.0.1' ? host : '0.0.0.0')
const id = (Math.random() * 0xffffffff) >>> 0
const stream = udx.createStream(id)
let connected = false
const hello = () => socket.trySend(Buffer.from('id:' + id), remote, host)
const timer = setInterval(() => connected || hello(), 50)

let received = 0
let wrong = 0
let first = 0n
let last = 0n
const bySecond = new Map()
const report = () => {
  const nanos = Number(last - first)
  console.log(JSON.stringify({ sent: bytes, received, wrong, megabytes_per_second: nanos ? Math.floor(received * 1000 / nanos) : 0, ms: Math.floor(nanos / 1e6), by_second: [...bySecond] }))
}
process.on('SIGTERM', () => { report(); process.exit(0) })
stream.on('data', (data) => {
  last = process.hrtime.bigint()
  const second = Math.floor(Date.now() / 1000)
  bySecond.set(second, (bySecond.get(second) || 0) + data.length)
  if (!first) first = last
  received += data.length
  if (data.length && data[data.length - 1] !== block[(received - 1) % block.length]) wrong++
})
stream.on('end', () => { if (!bytes) stream.end() })
stream.on('error', (err) => console.error('error', err.message))
stream.on('close', () => {
  clearInterval(timer)
  report()
  setTimeout(() => socket.close(), 100)
})
socket.on('message', (message) => {
  const text = message.toString()
  if (connected || !text.startsWith('id:')) return
  connected = true
  stream.connect(socket, Number(text.slice(3)), remote, host)
  hello()
  let written = 0
  const pump = () => {
    while (written < bytes) {
      const at = written % block.length
      const size = Math.min(65536, bytes - written, block.length - at)
      written += size
      if (written === bytes) return stream.end(block.subarray(at, at + size))
      if (!stream.write(block.subarray(at, at + size))) return stream.once('drain', pump)
    }
  }
  pump()
})
