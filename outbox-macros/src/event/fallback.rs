//! An implementation that is only there so that no second error says it is missing.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Path};

/// Never called: the program does not compile.
pub(super) fn stand_in(input: &DeriveInput, runtime: &Path) -> TokenStream {
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    let private = quote!(#runtime::__private);
    quote! {
        #[allow(deprecated)]
        const _: () = {
            #[automatically_derived]
            impl #generics #runtime::OutboxEvent for #name #arguments #bounds {
                fn event_type(&self) -> #private::Cow<'static, #private::str> { loop {} }
                fn topic(&self) -> #private::Cow<'_, #private::str> { loop {} }
                fn aggregate_type(&self) -> #private::Cow<'static, #private::str> { loop {} }
                fn key(&self) -> #private::String { loop {} }
                fn payload(&self) -> #private::Result<#runtime::Payload, #runtime::BoxError> { loop {} }
            }
        };
    }
}
