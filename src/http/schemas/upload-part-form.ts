import { GatewayError } from '../../domain/errors.js';

/** The one part of the form of an upload's part, `data`: a file, or a plain field. */
export interface UploadPartForm {
  /** Takes note that a file part began. */
  startFile(name: string): void;
  addField(name: string, value: string): void;
  /** Once all is read: the content where it came as a field, null where it came as a file. */
  fieldContent(): Buffer | null;
}

const NAME = 'data';
/** What text becomes where its bytes are no UTF-8. */
const REPLACEMENT_CHARACTER = '\ufffd';

/** One form. Unknown and repeated parts are refused by name. */
export function createUploadPartForm(): UploadPartForm {
  let given = false;
  let field: Buffer | null = null;
  const take = (name: string): void => {
    if (name !== NAME) {
      const shown = name.slice(0, 64);
      throw new GatewayError('unknown_parameter', `Additional properties are not allowed ('${shown}' was unexpected)`, {
        param: shown,
      });
    }
    if (given) throw refuse("'data' is given more than once; send one part per call");
    given = true;
  };
  return {
    startFile: take,
    addField(name, value) {
      take(name);
      // Fields are read as text. What that would change is refused, not stored in another shape.
      if (value.includes(REPLACEMENT_CHARACTER)) {
        throw refuse("'data' as a plain form field must be UTF-8 text: send other content as a file part");
      }
      field = Buffer.from(value);
    },
    fieldContent() {
      if (!given) throw refuse("'data' is a required property");
      return field;
    },
  };
}

function refuse(message: string): GatewayError {
  return new GatewayError('invalid_request', message, { param: NAME });
}
