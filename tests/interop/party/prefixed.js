import {TinyBasePartyKitServer} from 'tinybase/persisters/persister-partykit-server';
import {open} from './opened.js';

// Nothing at its default.
export default class extends open(TinyBasePartyKitServer) {
  config = {
    storePath: '/my_tinybase',
    messagePrefix: 'tb_',
    storagePrefix: 'tinybase_',
    responseHeaders: {'Access-Control-Allow-Origin': '*', 'X-Room-Kind': 'prefixed'},
  };
}
