// A deployed JavaScript DHT node for bench/ to load: prints {"port","pid"} and runs until its input closes.
'use strict'
const path = require('path')
const DHT = require(path.join(__dirname, '../tests/interop/node_modules/hyperdht'))
const node = new DHT({ bootstrap: [], host: '127.0.0.1', port: 0, ephemeral: false, firewalled: false })
node.fullyBootstrapped().then(() => console.log(JSON.stringify({ port: node.address().port, pid: process.pid })))
process.stdin.on('end', () => process.exit(0)).resume()
