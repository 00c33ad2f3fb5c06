// A deployed JavaScript peer for bench/streams.py: takes one JSON command a line, answers with one line each.
//   {"do":"listen","boot":PORT}                → {"key","pid"}; counts what every connection brings
//   {"do":"received"}                          → {"bytes"} of all connections so far
//   {"do":"send","boot":PORT,"to":KEY,"bytes":N} → {"ms"} from the open connection until all of it is acknowledged
//   {"do":"connect","boot":PORT,"to":KEY,"times":N} → {"ms":[…]} from the call until open, one after another
//   {"do":"testnet","nodes":N}                 → {"port"} of a root of so many nodes
'use strict'
const path = require('path')
const readline = require('readline')
const { once } = require('events')
const modules = path.join(__dirname, '../tests/interop/node_modules/')
const DHT = require(modules + 'hyperdht')
const createTestnet = require(modules + 'hyperdht/testnet')

let node = null
let bytes = 0
const dht = async (boot) => {
  if (node === null) {
    node = new DHT({ bootstrap: [{ host: '127.0.0.1', port: boot }], host: '127.0.0.1' })
    await node.fullyBootstrapped()
  }
  return node
}

const commands = {
  async listen ({ boot }) {
    const server = (await dht(boot)).createServer((s) => {
      s.on('error', () => {})
      s.on('data', (b) => { bytes += b.byteLength })
      s.on('end', () => s.end())
    })
    await server.listen(DHT.keyPair())
    return { key: server.publicKey.toString('hex'), pid: process.pid }
  },
  async received () { return { bytes } },
  async send ({ boot, to, bytes }) {
    const s = (await dht(boot)).connect(Buffer.from(to, 'hex'))
    s.on('error', () => {})
    await once(s, 'open')
    const began = performance.now()
    const piece = Buffer.alloc(65536, 7)
    for (let left = bytes; left > 0; left -= piece.length) {
      if (!s.write(left < piece.length ? piece.subarray(0, left) : piece)) await once(s, 'drain')
    }
    s.end()
    await once(s, 'close')
    return { ms: performance.now() - began }
  },
  async connect ({ boot, to, times }) {
    const ms = []
    const d = await dht(boot)
    for (let i = 0; i < times; i++) {
      const began = performance.now()
      const s = d.connect(Buffer.from(to, 'hex'), { keyPair: DHT.keyPair() })
      s.on('error', () => {})
      await once(s, 'open')
      ms.push(performance.now() - began)
      s.destroy()
      await once(s, 'close')
    }
    return { ms }
  },
  async testnet ({ nodes }) { return { port: (await createTestnet(nodes)).bootstrap[0].port } }
}

const lines = readline.createInterface({ input: process.stdin })
lines.on('line', async (line) => {
  const command = JSON.parse(line)
  console.log(JSON.stringify(await commands[command.do](command)))
})
lines.on('close', () => process.exit(0))
