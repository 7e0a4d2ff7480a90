import {TinyBasePartyKitServer} from 'tinybase/persisters/persister-partykit-server';
import {open} from './opened.js';

const settable = (id) => id != 'secret';
const deletable = (id) => !id.startsWith('kept');

// Refuses to set what is called `secret` and to delete what is called `kept...`, whether a table, a row, a cell or a value.
// A value called `explode` makes the hook throw.
export default class extends open(TinyBasePartyKitServer) {
  canSetTable = async (tableId) => settable(tableId);
  canDelTable = async (tableId) => deletable(tableId);
  canSetRow = async (_tableId, rowId) => settable(rowId);
  canDelRow = async (_tableId, rowId) => deletable(rowId);
  canSetCell = async (_tableId, _rowId, cellId) => settable(cellId);
  canDelCell = async (_tableId, _rowId, cellId) => deletable(cellId);
  canSetValue = async (valueId) => {
    if (valueId == 'explode') {
      throw new Error('the hook threw');
    }
    return settable(valueId);
  };
  canDelValue = async (valueId) => deletable(valueId);
}
