import {TinyBasePartyKitServer} from 'tinybase/persisters/persister-partykit-server';

// A config as TinyBase's own documentation shows it. Having no responseHeaders of its own it loses the default ones: the
// constructor sets them on the object that this field replaces.
export default class extends TinyBasePartyKitServer {
  config = {storePath: '/bare_store'};
}
